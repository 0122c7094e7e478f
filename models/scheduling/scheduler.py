"""Decides which models are loaded and who gets them: a synchronous state machine.

Each method takes one thing that happened and returns the effects to carry out. It never waits,
so each decision sees and leaves a consistent state, and a test can drive it by hand.

Invariants: a leased model is never unloaded; reservations made for loads never exceed the cap;
each ticket ends in one `Grant` or one `Reject`, or was given up by `release`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.devices import RAM, Devices
from models.scheduling import explanations as explain
from models.scheduling.effects import Effect, NotifyWaiter, Reject, Unload
from models.scheduling.ledger import DeviceBalance, Ledger
from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.planning import PATIENCE_S
from models.scheduling.queue import waiter_to_shed
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.settling import Settling
from models.scheduling.slot import LOADED, WANTED, Slot, State

__all__ = ["BACKOFF_S", "MAX_WAITING", "PATIENCE_S", "Scheduler"]

MAX_WAITING = 1000
BACKOFF_S = (1.0, 5.0, 60.0, 300.0)
"""After so many failures in a row; the last for all that follow."""
CRASHES = 3
"""So often in a row a model that dies before it did anything is loaded again at once."""
USEFUL_S, MOMENT_S = 10.0, 0.5
OUT_OF_MEMORY = "out_of_memory"


class Scheduler:
    """See the module. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        ledger: Ledger,
        devices: Devices,
        clock: Callable[[], float],
        needs: MemoryEstimates | None = None,
    ) -> None:
        self._clock = clock
        self._state = Settling(ledger, devices, clock, needs or MemoryEstimates())

    @property
    def slots(self) -> Mapping[str, Slot]:
        """For reading only."""
        return self._state.slots

    def balances(self) -> list[DeviceBalance]:
        return list(self._state.plan().balances().values())

    def trouble(self, name: str) -> MotetError | None:
        """Why the model would be refused at once: its last load failed a moment ago."""
        slot = self.slots.get(name)
        if slot is None or slot.state is not State.FAILED or slot.error is None:
            return None
        left_s = slot.retry_at_s - self._clock()
        return explain.tried_again(slot.error, left_s) if left_s > 0 else None

    def pinned(self, spec: ModelSpec) -> bool:
        return self._state.pinned(spec)

    def reading_due(self) -> bool:
        """Whether the next `tick` looks at the devices; report `measured` before it then."""
        return self._state.reading_due()

    def next_wake_s(self) -> float | None:
        """When `tick` is due next, by the clock."""
        return self._state.next_wake_s()

    # What can happen -----------------------------------------------------------------------

    def request(
        self,
        ticket: int,
        spec: ModelSpec,
        needs: Sequence[MemoryRequirement],
        priority: int,
        tenant: str = "default",
    ) -> list[Effect]:
        """Someone wants a lease. `needs` are estimates; measurements take their place."""
        if error := self.trouble(spec.name):
            return [Reject(ticket, error)]
        slot = self._state.slot_for(spec, tuple(needs))
        self._state.wait(slot, ticket, tenant, priority)
        if len(slot.waiting) > MAX_WAITING:
            victim = waiter_to_shed(slot.waiting)
            self._state.refuse(slot, [victim], explain.queue_full(slot, MAX_WAITING))
        told = slot.told
        effects = self._state.settle()
        # What has changed was told to everyone who waits; else the newcomer does not know yet.
        if slot.told is told and (news := self._state.stands(slot, ticket)):
            effects.append(NotifyWaiter(ticket, news))
        return effects

    def release(self, ticket: int) -> list[Effect]:
        """A lease ends, or a request is given up, whichever it is by now."""
        self._state.let_go(ticket)
        return self._state.settle()

    def loaded(self, name: str, generation: int, memory: Mapping[str, int] | None) -> list[Effect]:
        slot = self._current(name, generation, State.LOADING)
        if slot is None:
            return [Unload(name, generation)]
        now_s = self._clock()
        slot.state, slot.failures, slot.error, slot.retried = State.READY, 0, None, False
        slot.told = {}
        slot.ready_since_s = slot.idle_since_s = now_s
        slot.usage.load_s = now_s - slot.load_started_s
        self._state.settle_memory(slot, memory, slot.usage.load_s)
        held, load_s = dict(slot.need.memory), round(slot.usage.load_s, 3)
        self._state.happened("ready", slot, device=slot.need.device, memory=held, load_s=load_s)
        self._state.grant(slot, now_s)
        if slot.unload_asked:
            slot.state = State.DRAINING
        return self._state.settle()

    def measured(self, name: str, generation: int, memory: Mapping[str, int]) -> None:
        """A loaded model takes so much by now."""
        slot = self._current(name, generation, *LOADED)
        if slot and dict(memory) != slot.need.memory:
            self._state.settle_memory(slot, memory)

    def load_failed(self, name: str, generation: int, error: MotetError) -> list[Effect]:
        slot = self._current(name, generation, State.LOADING)
        if slot is None:
            return []
        tried = slot.need
        self._state.forget(slot)
        if error.code == OUT_OF_MEMORY:
            self._state.raise_need(slot, tried)
            if not slot.retried and slot.waiting:
                slot.retried = True
                told = {"device": tried.device, "phase": "loading"}
                self._state.happened("out_of_memory", slot, **told)
                self._make_room(name, tried)
                return self._state.settle()
        self._fail(slot, error)
        return self._state.settle()

    def unloaded(self, name: str, generation: int) -> list[Effect]:
        if slot := self._current(name, generation, State.STOPPING):
            self._state.forget(slot)
            self._state.happened("unloaded", slot)
            self._state.pressure.freed(self._clock())
        return self._state.settle()

    def lost(self, name: str, generation: int, reason: str = "") -> list[Effect]:
        """It ended by itself; its leases are worth nothing, who waits gets a new one."""
        if slot := self._current(name, generation, *LOADED):
            slot.leases.clear()
            self._state.forget(slot)
            self._state.happened("crashed", slot, reason=reason)
            slot.usage.crashes = slot.usage.crashes + 1 if self._useless(slot) else 0
            if slot.usage.crashes > CRASHES:
                self._fail(slot, explain.crashes(slot, reason), least=CRASHES)
        return self._state.settle()

    def drain(self, name: str) -> list[Effect]:
        """Unload it as soon as nobody uses it any more."""
        slot = self.slots.get(name)
        if slot and slot.state in (State.LOADING, *LOADED):
            slot.unload_asked = True
            if slot.state is State.READY:
                slot.state = State.DRAINING
        return self._state.settle()

    def replace(self, spec: ModelSpec, needs: Sequence[MemoryRequirement]) -> list[Effect]:
        """The file says something else of a model: it is loaded anew, if that is what changed."""
        slot = self.slots.get(spec.name)
        if slot is None:
            return []
        if _loaded_alike(slot.spec, spec):
            slot.spec, slot.pinned = spec, self.pinned(spec)
            return self._state.settle()
        slot.successor = (spec, tuple(needs))
        if slot.state in WANTED:
            slot.failures, slot.retry_at_s = 0, 0.0
            self._state.prepare(slot)
        return self.drain(spec.name)

    def pin(self, name: str, pinned: bool) -> list[Effect]:
        """Keep it from now on once it is loaded, or no longer; in place of its spec's `pin`."""
        self._state.pin(name, pinned)
        return self._state.settle()

    def cap(self, cap_bytes: Mapping[str, int]) -> list[Effect]:
        """Other caps from now on."""
        self._state.ledger.cap(cap_bytes)
        return self._state.settle()

    def out_of_memory(self, name: str, generation: int) -> list[Effect]:
        """It ran out of memory in use: unload what is idle beside it on its device."""
        slot = self._current(name, generation, *LOADED)
        if slot is None:
            return []
        self._state.raise_need(slot, slot.need)
        self._state.happened("out_of_memory", slot, device=slot.need.device, phase="running")
        self._make_room(name, slot.need)
        return self._state.settle()

    def lost_out_of_memory(
        self, spec: ModelSpec, needs: Sequence[MemoryRequirement]
    ) -> list[Effect]:
        """The same of a model that went by it, as in Ollama: room is made for its next load."""
        slot = self._state.slot_for(spec, tuple(needs))
        if slot.state in WANTED:
            self._state.raise_need(slot, slot.need)
            self._state.happened("out_of_memory", slot, device=slot.need.device, phase="running")
            self._make_room(spec.name, slot.need)
        return self._state.settle()

    def tick(self) -> list[Effect]:
        """Time has passed: keep-alives and turns may have ended, and a reading may be due."""
        if self.reading_due():
            self._state.relieve()
        return self._state.settle()

    def close(self, error: MotetError) -> list[Effect]:
        """Refuse everyone who waits."""
        for slot in self.slots.values():
            self._state.refuse(slot, slot.waiting, error)
        return self._state.settle()

    def _fail(self, slot: Slot, error: MotetError, least: int = 1) -> None:
        """It is refused for a while; the more often in a row, the longer."""
        slot.failures = max(slot.failures + 1, least)
        pause_s = BACKOFF_S[min(slot.failures, len(BACKOFF_S)) - 1]
        slot.state, slot.error, slot.retried = State.FAILED, error, False
        slot.retry_at_s = self._clock() + pause_s
        told = {"failures": slot.failures, "retry_after_s": pause_s}
        self._state.happened("load_failed", slot, **{"error": error.as_dict(), **told})
        self._state.refuse(slot, slot.waiting, error)

    def _useless(self, slot: Slot) -> bool:
        """Whether a load that was lost had hardly begun, and done nothing for anyone."""
        now_s = self._clock()
        # The leases of what has died may end a moment before it is known to be dead.
        worked = slot.first_done_s is not None and now_s - slot.first_done_s > MOMENT_S
        return not worked and now_s - slot.ready_since_s < USEFUL_S

    def _make_room(self, name: str, need: MemoryRequirement) -> None:
        """Unload what is idle where a model ran out of memory."""
        places = {device for device in need.memory if device != RAM} or {RAM}
        for resident in self._state.plan().residents():
            holds = any(resident.memory.get(device) for device in places)
            if holds and resident.evictable and name not in resident.names:
                self._state.stop(resident.names, f"'{name}' ran out of memory")

    def _current(self, name: str, generation: int, *states: State) -> Slot | None:
        """The slot, unless the news is about an older load of it."""
        slot = self.slots.get(name)
        if slot and slot.generation == generation and slot.state in states:
            return slot
        return None


def _loaded_alike(one: ModelSpec, other: ModelSpec) -> bool:
    """Whether what is loaded for one serves for the other."""
    free = {"keep_alive_s", "priority", "pin", "preload", "concurrency", "cpu_fallback"}
    return one.model_dump(exclude=free) == other.model_dump(exclude=free)
