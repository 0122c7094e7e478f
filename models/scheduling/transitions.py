"""Every change of a slot's state after the request, each with its effects and its event.

`scheduler` decides which of them happens when; the states are drawn in `slot`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from config.errors import MotetError
from models.scheduling.effects import Effect, Load, Unload
from models.scheduling.ledger import Ledger
from models.scheduling.notices import Notices
from models.scheduling.queue import Waiter
from models.scheduling.slot import Handover, Slot, State
from models.scheduling.slots import SlotTable
from models.scheduling.tickets import Tickets


class Transitions:
    """Moves slots between states; adds `Load` and `Unload` to `effects`."""

    def __init__(
        self,
        table: SlotTable,
        ledger: Ledger,
        tickets: Tickets,
        notices: Notices,
        effects: list[Effect],
    ) -> None:
        self._table = table
        self._ledger = ledger
        self._tickets = tickets
        self._notices = notices
        self._effects = effects
        self._generations = itertools.count(1)

    def begin_load(self, slot: Slot, now_s: float) -> None:
        """Reserve the memory of a model and have it loaded."""
        # The reservation comes before the load: no other decision can have the memory meanwhile.
        self._ledger.reserve(slot.name, slot.load.need)
        slot.state, slot.queue.recheck_at_s = State.LOADING, None
        slot.load.begin(next(self._generations), now_s)
        need = slot.load.need
        self._notices.emit("loading", slot, device=need.device, memory=dict(need.memory))
        self._effects.append(Load(slot.spec, need, slot.load.generation))
        self._notices.announce_loading(slot, now_s)

    def finish_load(self, slot: Slot, memory: Mapping[str, int] | None, now_s: float) -> None:
        """Open a model that is loaded to those who wait for it."""
        load = slot.load
        slot.state, slot.queue.last_notice = State.READY, {}
        slot.backoff.reset()
        load.ready_since_s = load.idle_since_s = now_s
        slot.usage.load_s = now_s - load.started_s
        self._table.record_memory(slot, memory, slot.usage.load_s)
        taken, load_s = dict(load.need.memory), round(slot.usage.load_s, 3)
        self._notices.emit("ready", slot, device=load.need.device, memory=taken, load_s=load_s)
        # Who waited during the load is served even when someone asked to unload the model.
        self._tickets.grant(slot, now_s)
        if load.drain_requested:
            slot.state = State.DRAINING

    def hand_over(self, names: Iterable[str], waiting: Slot, now_s: float) -> None:
        """Let models in use serve who came before, and then make way for `waiting`."""
        rank_s = waiting.queue.waiting[0].rank_s
        for slot in (self._table.by_name[name] for name in names):
            if not slot.is_unused:
                slot.state = State.DRAINING
                slot.load.handover = Handover(waiting.name, rank_s, now_s)
                self._table.activate(slot)
                self._notices.emit("preempted", slot, to=waiting.name)

    def end_needless_handover(self, slot: Slot, now_s: float) -> None:
        """Open a model again whose handover has nobody to go to."""
        handover = slot.load.handover
        if handover is None or slot.state is not State.DRAINING:
            return
        other = self._table.by_name.get(handover.to)
        if slot.pinned or other is None or not other.needs_load:
            slot.load.handover = None
            if not slot.load.drain_requested:
                slot.state = State.READY
                self._tickets.grant(slot, now_s)

    def unload(self, names: Iterable[str], reason: str) -> None:
        """Have models without leases unloaded; they are gone when that is reported."""
        for slot in (self._table.by_name[name] for name in names):
            slot.state = State.STOPPING
            self._table.activate(slot)
            self._notices.emit("unloading", slot, reason=reason)
            self._effects.append(Unload(slot.name, slot.load.generation, reason))

    def reject(self, slot: Slot, waiting: Sequence[Waiter], error: MotetError) -> None:
        """End requests with an error; without any left, the model is not wanted any more."""
        if waiting and slot.state is not State.FAILED:  # a failure was published already
            self._notices.emit("refused", slot, error=error.as_dict())
        self._tickets.reject(slot, waiting, error)
        if not slot.queue.waiting:
            slot.queue.last_notice = {}
            if slot.state is State.QUEUED:
                slot.state = State.ABSENT

    def back_off(self, slot: Slot, error: MotetError, now_s: float, at_least: int = 1) -> None:
        """Refuse a model for a while; the more failures in a row, the longer."""
        pause_s = slot.backoff.fail(error, now_s, at_least)
        slot.state = State.FAILED
        about = {"failures": slot.backoff.failures, "retry_after_s": pause_s}
        self._notices.emit("load_failed", slot, error=error.as_dict(), **about)
        self.reject(slot, slot.queue.waiting, error)
