"""The slots of all models that are loaded, waited for or failed, and what is known of each.

Owns slots, pins, usage and the ledger's entries; `scheduler` decides what happens to them.
Invariants: a model has a reservation exactly while its slot's state is in `PRESENT`; every slot
that a pass could change is one of `active`. So a pass costs what has happened, not what is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.catalog.spec import ModelSpec
from models.scheduling.ledger import Ledger
from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import LOADABLE, PRESENT, LoadStatus, Slot, State
from models.scheduling.usage import UsageHistory
from models.scheduling.wake_times import WakeTimes


class SlotTable:
    """Finds and makes slots, and keeps their memory in step with ledger and estimates."""

    def __init__(self, ledger: Ledger, estimates: MemoryEstimates) -> None:
        self.by_name: dict[str, Slot] = {}
        self._ledger = ledger
        self._estimates = estimates
        self._usages = UsageHistory()
        self._pins: dict[str, bool] = {}
        self._active: dict[str, Slot] = {}
        self._wakes = WakeTimes()

    def obtain(self, spec: ModelSpec, placements: tuple[MemoryRequirement, ...]) -> Slot:
        """Return the slot of a model that is asked for, made where it has none."""
        slot = self.by_name.get(spec.name)
        if slot is None:
            slot = Slot(spec, placements, LoadStatus(placements[0]), self._usages.of(spec.name))
            slot.pinned = self.is_pinned(spec)
            self.by_name[spec.name] = slot
        if slot.state in LOADABLE and not slot.queue.waiting:
            # Its file may have changed while nobody asked for it.
            slot.pending_spec = (spec, placements)
            self.prepare(slot)
        self.activate(slot)
        return slot

    def find(self, name: str, generation: int, *states: State) -> Slot | None:
        """Return a slot in one of the states; None when the generation is of an older load.

        A worker may die late, or a load end after it was given up: such reports must not touch
        the load that came after it.
        """
        slot = self.by_name.get(name)
        if slot and slot.load.generation == generation and slot.state in states:
            self.activate(slot)
            return slot
        return None

    # What a pass looks at -----------------------------------------------------------------------

    def activate(self, slot: Slot) -> None:
        """Have the next pass look at a slot, because something about it changes."""
        # A lease of a model that crashed may end when its slot is gone, or another's.
        if self.by_name.get(slot.name) is slot:
            self._active[slot.name] = slot

    def active(self, now_s: float) -> list[Slot]:
        """Return the slots that a pass could change: what happened, waits, or is due."""
        for name in self._wakes.pop_due(now_s):
            self._active[name] = self.by_name[name]
        return list(self._active.values())

    def finish_pass(self, now_s: float) -> None:
        """Remove the slots with nothing left to remember; let those rest that only time changes."""
        for name, slot in list(self._active.items()):
            if slot.is_removable(now_s):
                del self.by_name[name], self._active[name]
                self._wakes.set(name, None)
                continue
            # What is past was seen to already: only a later moment can change anything.
            times_s = (at_s for at_s in slot.wake_times_s() if at_s > now_s)
            self._wakes.set(name, min(times_s, default=None))
            if slot.is_at_rest:
                del self._active[name]

    def next_wake_s(self) -> float | None:
        """Return when time alone changes a slot next; None while nothing is to be expected."""
        return self._wakes.next_s()

    # Pins ---------------------------------------------------------------------------------------

    def is_pinned(self, spec: ModelSpec) -> bool:
        """Tell whether a model stays once loaded: as was set last, else as its file says."""
        return self._pins.get(spec.name, spec.pin)

    def set_pinned(self, name: str, pinned: bool, now_s: float) -> None:
        """Pin a model or not, in place of its file; its keep-alive begins anew."""
        self._pins[name] = pinned
        if slot := self.by_name.get(name):
            slot.pinned = pinned
            slot.load.idle_since_s = now_s
            self.activate(slot)

    # Memory -------------------------------------------------------------------------------------

    def prepare(self, slot: Slot) -> None:
        """Take up what the file says now and what was measured; nothing may be loaded."""
        slot.take_pending_spec()
        slot.placements = self._estimates.refine(slot.spec, slot.placements)
        slot.load.need = slot.placements[0]
        if slot.usage.load_s is None:
            slot.usage.load_s = self._estimates.load_s(slot.spec, slot.load.need)

    def mark_absent(self, slot: Slot) -> None:
        """Release the model's reservation and reset its slot for the next load."""
        self._ledger.release(slot.name)
        slot.state, slot.load.handover, slot.load.drain_requested = State.ABSENT, None, False
        slot.queue.last_notice = {}
        self.prepare(slot)

    def record_memory(
        self, slot: Slot, memory: Mapping[str, int] | None, load_s: float | None = None
    ) -> None:
        """Let a measurement take the place of the estimate, now and at the next load."""
        if memory is not None:
            slot.set_memory(memory)
        slot.load.need = self._estimates.record(slot.spec, slot.load.need, load_s)
        self._ledger.confirm(slot.name, slot.load.need.memory)

    def raise_need(self, slot: Slot, need: MemoryRequirement, caps: Mapping[str, int]) -> None:
        """Count more for a model from now on, because it ran out of memory with `need`."""
        raised = self._estimates.raise_floor(slot.spec, need, caps)
        if slot.state in PRESENT:
            slot.load.need = raised
            self._ledger.confirm(slot.name, raised.memory)
        else:
            self.prepare(slot)
