"""Decides which models are loaded and who gets them: a synchronous state machine.

Each method takes one thing that happened and returns the effects to carry out, in order. None
of them waits or reads anything but the clock and the devices handed in, so each decision sees and
leaves a consistent state, and a test can drive it by hand. The states of a model are drawn in
`slot`; who waits and holds is `tickets`', what is known of models `slots`'.

Each method ends with a pass (`run_pass`), the decision tree:

    1  each slot by itself
       1.1  it makes way for a model that wants nothing any more, or was pinned: it is open again
       1.2  it is loaded and has leases left for its queue: grant them
       1.3  its keep-alive has ended: unload ("idle")
       1.4  it drains and its last lease has ended: unload ("room for ...", or "asked for")
    2  each model that waits for a load, the most urgent first (`planning` chooses the place)
       2.1  its memory is free: load
       2.2  its memory is being freed already: keep the room for it
       2.3  idle models are to go for it: unload them ("room for ..."), keep the room
       2.4  models in use had their turn: they make way (handover)
       2.5  models in use have their turn yet: wait, and let smaller loads pass for PATIENCE_S
       2.6  there is no room that unloading could make: reject who waits
    3  1.1 again, because 2 may have ended what a model made way for
    4  remove slots with nothing left to remember

So a model is unloaded by 1.3, 1.4 or 2.3, or between passes by
    5  pressure: its device runs full by measurement (`pressure` chooses the victim)
    6  another ran out of memory on its device, where it was idle
Whom 2.3 and 2.4 choose, and whom they spare, is in `eviction`.

Invariants: a leased model is never unloaded; reservations made for loads never exceed the cap;
each ticket ends in one `Grant` or one `Reject`, or was given up by `release`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.devices import RAM, Devices
from models.scheduling import rejections
from models.scheduling.backoff import MAX_CRASHES, OUT_OF_MEMORY, died_useless
from models.scheduling.effects import Effect, EmitEvent, NotifyWaiter, Reject, Unload
from models.scheduling.eviction import Resident, list_residents
from models.scheduling.ledger import DeviceBalance, Ledger
from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.notices import Notices
from models.scheduling.planning import (
    AwaitUnload,
    Evict,
    LoadNow,
    PlacementPlanner,
    Preempt,
    Refuse,
    Wait,
)
from models.scheduling.pressure import CLOCK_SLACK_S, Pressure
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import LOADABLE, LOADED, Slot, State
from models.scheduling.slots import SlotTable
from models.scheduling.tickets import Tickets
from models.scheduling.transitions import Transitions

MAX_WAITING = 1000
"""Requests for one model; one too many ends that of the tenant with the most."""
PATIENCE_S = 30.0
"""So long a model that waits lets smaller ones pass; then their room is kept for it."""


class Scheduler:
    """The state machine. `clock` is monotonic, in seconds; `devices` are read at each decision.

    Reports carry the generation of the `Load` that they are about; those of older loads change
    nothing.
    """

    def __init__(
        self,
        ledger: Ledger,
        devices: Devices,
        clock: Callable[[], float],
        estimates: MemoryEstimates | None = None,
    ) -> None:
        self._ledger = ledger
        self._devices = devices
        self._clock = clock
        self._table = SlotTable(ledger, estimates or MemoryEstimates())
        self._pressure = Pressure()
        self._effects: list[Effect] = []
        """Of the pass under way; `tickets` and `notices` add to them."""
        self._tickets = Tickets(self._effects)
        self._notices = Notices(self._table.by_name, self._effects)
        self._moves = Transitions(self._table, ledger, self._tickets, self._notices, self._effects)

    # Questions ----------------------------------------------------------------------------------

    @property
    def slots(self) -> Mapping[str, Slot]:
        """For reading only."""
        return self._table.by_name

    def balances(self) -> list[DeviceBalance]:
        """Return what is reserved and free on each device, from a reading taken now."""
        return list(self._planner().balances().values())

    def current_refusal(self, name: str) -> MotetError | None:
        """Return why the model would be refused at once: its last load failed a moment ago."""
        slot = self.slots.get(name)
        if slot is None or slot.state is not State.FAILED or slot.backoff.error is None:
            return None
        left_s = slot.backoff.retry_at_s - self._clock()
        return rejections.backing_off(slot.backoff.error, left_s) if left_s > 0 else None

    def is_pinned(self, spec: ModelSpec) -> bool:
        """Tell whether a model stays once it is loaded."""
        return self._table.is_pinned(spec)

    def is_reading_due(self) -> bool:
        """Tell whether the next `tick` looks at the devices; call `report_memory` before it."""
        return self._ledger.is_memory_held() and self._pressure.is_due(self._clock())

    def next_wake_s(self) -> float | None:
        """Return when `tick` is due next, by the clock; None while only a report can change
        anything."""
        wake_s = self._table.next_wake_s()
        times = [] if wake_s is None else [wake_s]
        if self._ledger.is_memory_held():
            times.append(max(self._pressure.due_s, self._clock() + CLOCK_SLACK_S))
        return min(times, default=None)

    # Requests -----------------------------------------------------------------------------------

    def request(
        self,
        ticket: int,
        spec: ModelSpec,
        placements: Sequence[MemoryRequirement],
        priority: int,
        tenant: str,
    ) -> list[Effect]:
        """Ask for a lease. `placements` are estimates; measurements take their place."""
        if error := self.current_refusal(spec.name):
            return [Reject(ticket, error)]
        slot = self._table.obtain(spec, tuple(placements))
        self._tickets.enqueue(slot, ticket, tenant, priority, self._clock())
        if len(slot.queue.waiting) > MAX_WAITING:
            shed = slot.queue.waiter_to_shed()
            self._moves.reject(slot, [shed], rejections.queue_full(slot.name, MAX_WAITING))
        notice = slot.queue.last_notice
        effects = self.run_pass()
        # A new notice has reached everyone who waits; else the newcomer has had none yet.
        if slot.queue.last_notice is notice and (
            status := self._notices.queue_status(slot, ticket, self._clock())
        ):
            effects.append(NotifyWaiter(ticket, status))
        return effects

    def release(self, ticket: int) -> list[Effect]:
        """End a lease, or give up a request, whichever it is by now."""
        if slot := self._tickets.release_ticket(ticket, self._clock()):
            self._table.activate(slot)
        return self.run_pass()

    def drain(self, name: str) -> list[Effect]:
        """Unload a model as soon as nobody uses it any more."""
        slot = self.slots.get(name)
        if slot and slot.state in (State.LOADING, *LOADED):
            self._table.activate(slot)
            slot.load.drain_requested = True
            if slot.state is State.READY:
                slot.state = State.DRAINING
        return self.run_pass()

    def replace_spec(
        self, spec: ModelSpec, placements: Sequence[MemoryRequirement]
    ) -> list[Effect]:
        """Take over what the file says now; a model that it changes is loaded anew."""
        slot = self.slots.get(spec.name)
        if slot is None:
            return []
        self._table.activate(slot)
        if spec.is_loaded_like(slot.spec):
            slot.spec, slot.pinned = spec, self.is_pinned(spec)
            return self.run_pass()
        slot.pending_spec = (spec, tuple(placements))
        if slot.state in LOADABLE:
            slot.backoff.failures, slot.backoff.retry_at_s = 0, 0.0
            self._table.prepare(slot)
        return self.drain(spec.name)

    def set_pinned(self, name: str, pinned: bool) -> list[Effect]:
        """Keep a model once it is loaded, or no longer; in place of its spec's `pin`."""
        self._effects.append(EmitEvent("pinned" if pinned else "unpinned", {"model": name}))
        self._table.set_pinned(name, pinned, self._clock())
        return self.run_pass()

    def set_caps(self, cap_bytes: Mapping[str, int]) -> list[Effect]:
        """Use other caps from now on, in bytes by device."""
        self._ledger.set_caps(cap_bytes)
        return self.run_pass()

    def close(self, error: MotetError) -> list[Effect]:
        """Reject everyone who waits."""
        for slot in self.slots.values():
            self._table.activate(slot)
            self._moves.reject(slot, slot.queue.waiting, error)
        return self.run_pass()

    # Reports of what became of effects, and of time ---------------------------------------------

    def report_loaded(
        self, name: str, generation: int, memory: Mapping[str, int] | None
    ) -> list[Effect]:
        """Take a load as ready. `memory` is what it took by measurement, where there is one."""
        slot = self._table.find(name, generation, State.LOADING)
        if slot is None:
            return [Unload(name, generation)]
        self._moves.finish_load(slot, memory, self._clock())
        return self.run_pass()

    def report_load_failed(self, name: str, generation: int, error: MotetError) -> list[Effect]:
        """Back off from a load that failed.

        One that ran out of memory, or was interrupted, is tried again at once for those who wait,
        so that the end of a process fails none of them.
        """
        slot = self._table.find(name, generation, State.LOADING)
        if slot is None:
            return []
        need = slot.load.need
        self._table.mark_absent(slot)
        ran_out = error.code == OUT_OF_MEMORY
        if ran_out:
            self._table.raise_need(slot, need, self._caps())
        if not slot.queue.waiting or not slot.backoff.may_retry(error):
            self._moves.back_off(slot, error, self._clock())
            return self.run_pass()
        slot.backoff.retries += 1
        if ran_out:
            self._make_room(slot, need, phase="loading")
        else:
            self._notices.emit("load_interrupted", slot, error=error.as_dict())
        return self.run_pass()

    def report_unloaded(self, name: str, generation: int) -> list[Effect]:
        """Count the memory of a model as free again."""
        if slot := self._table.find(name, generation, State.STOPPING):
            self._table.mark_absent(slot)
            self._notices.emit("unloaded", slot)
            self._pressure.note_unload(self._clock())
        return self.run_pass()

    def report_crashed(self, name: str, generation: int, reason: str = "") -> list[Effect]:
        """Take a model as gone by itself; its leases are void, and who waits gets a new load."""
        if slot := self._table.find(name, generation, *LOADED):
            load, now_s = slot.load, self._clock()
            load.leases.clear()
            self._table.mark_absent(slot)
            self._notices.emit("crashed", slot, reason=reason)
            useless = died_useless(load.ready_since_s, load.first_lease_end_s, now_s)
            slot.usage.crashes = slot.usage.crashes + 1 if useless else 0
            if slot.usage.crashes > MAX_CRASHES:
                error = rejections.crash_loop(name, slot.usage.crashes, reason)
                self._moves.back_off(slot, error, now_s, at_least=MAX_CRASHES)
        return self.run_pass()

    def report_memory(self, name: str, generation: int, memory: Mapping[str, int]) -> None:
        """Count what a loaded model takes by now, by measurement."""
        slot = self._table.find(name, generation, *LOADED)
        if slot and dict(memory) != slot.load.need.memory:
            self._table.record_memory(slot, memory)

    def report_out_of_memory(self, name: str, generation: int) -> list[Effect]:
        """Unload what is idle beside a model that ran out of memory in use."""
        slot = self._table.find(name, generation, *LOADED)
        if slot is None:
            return []
        self._table.raise_need(slot, slot.load.need, self._caps())
        self._make_room(slot, slot.load.need, phase="running")
        return self.run_pass()

    def report_out_of_memory_crash(
        self, spec: ModelSpec, placements: Sequence[MemoryRequirement]
    ) -> list[Effect]:
        """Make room for the next load of a model that crashed out of memory, as in Ollama."""
        slot = self._table.obtain(spec, tuple(placements))
        if slot.state in LOADABLE:
            self._table.raise_need(slot, slot.load.need, self._caps())
            self._make_room(slot, slot.load.need, phase="running")
        return self.run_pass()

    def tick(self) -> list[Effect]:
        """Take in that time has passed: keep-alives and turns may have ended."""
        if self.is_reading_due():
            self._relieve_pressure()
        return self.run_pass()

    # The pass -----------------------------------------------------------------------------------

    def run_pass(self) -> list[Effect]:
        """Decide everything that can be decided now; the numbers are the module's."""
        now_s = self._clock()
        active = self._table.active(now_s)
        for slot in active:  # 1
            if slot.load.handover:
                self._moves.end_needless_handover(slot, now_s)  # 1.1
            if slot.queue.waiting:
                self._tickets.grant(slot, now_s)  # 1.2
            unload_at_s = slot.unload_at_s
            if unload_at_s is not None and unload_at_s <= now_s:
                self._moves.unload([slot.name], "idle")  # 1.3
            elif slot.state is State.DRAINING and not slot.load.leases:
                to = slot.load.handover
                reason = f"room for '{to.to}'" if to else "asked for"
                self._moves.unload([slot.name], reason)  # 1.4
        if waiting := [slot for slot in active if slot.needs_load]:
            self._place_waiting(waiting, now_s)  # 2
            for slot in self._table.active(now_s):
                self._moves.end_needless_handover(slot, now_s)  # 3
        self._table.finish_pass(now_s)  # 4
        effects = self._effects.copy()
        self._effects.clear()
        return effects

    def _place_waiting(self, waiting: Sequence[Slot], now_s: float) -> None:
        """Find room for each model that waits for a load, the most urgent first (2)."""
        planner = self._planner()
        ahead = 0
        for slot in sorted(waiting, key=lambda slot: slot.queue.waiting[0]):
            decision = planner.decide(slot)
            slot.load.need = decision.need
            match decision:
                case LoadNow():  # 2.1
                    self._moves.begin_load(slot, now_s)
                case Refuse():  # 2.6
                    error = rejections.insufficient_memory(slot.name, decision)
                    self._moves.reject(slot, slot.queue.waiting, error)
                case _:
                    self._keep_waiting(slot, decision, planner, ahead, now_s)
                    ahead += len(slot.queue.waiting)

    def _keep_waiting(
        self,
        slot: Slot,
        decision: AwaitUnload | Evict | Preempt | Wait,
        planner: PlacementPlanner,
        ahead: int,
        now_s: float,
    ) -> None:
        """See that a model's memory comes, and tell who waits for it."""
        slot.state, slot.queue.recheck_at_s = State.QUEUED, None
        names: Sequence[str] = ()
        match decision:
            case AwaitUnload():  # 2.2
                passable = False
            case Evict(victims=names):  # 2.3
                self._moves.unload(names, f"room for '{slot.name}'")
                passable = False
            case Preempt(blockers=names, recheck_at_s=recheck_at_s):  # 2.4
                slot.queue.recheck_at_s = recheck_at_s
                self._moves.hand_over(names, slot, now_s)
                passable = True
            case Wait(blockers=names, recheck_at_s=recheck_at_s):  # 2.5
                slot.queue.recheck_at_s = recheck_at_s
                passable = True
        blockers = names or planner.blockers(slot, decision.need)
        self._notices.announce_waiting(slot, decision, blockers, ahead, now_s)
        # One that waits for leases to end lets smaller loads pass, but not for ever, and not
        # once models make way for it: what they free is its own.
        is_patient = slot.queue.waiting[0].since_s + PATIENCE_S > now_s
        if not (passable and is_patient) or planner.has_handover(slot):
            planner.promise(slot, decision.need)

    # Between passes -----------------------------------------------------------------------------

    def _relieve_pressure(self) -> None:
        """Unload what is idle on devices that run full, where that helps (5)."""
        planner = self._planner()
        balances, freed = planner.balances().values(), planner.devices_being_freed()
        for eviction in self._pressure.review(balances, self._idle(), freed, self._clock()):
            names = eviction.victim.names if eviction.victim else ()
            about = {"device": eviction.device, "used_share": round(eviction.used_share, 3)}
            self._effects.append(EmitEvent("pressure", {**about, "unloads": list(names)}))
            # One model may hold memory on two devices, and be the victim of both.
            if all(self.slots[name].state is State.READY for name in names):
                self._moves.unload(names, f"pressure on {eviction.device}")

    def _make_room(self, slot: Slot, need: MemoryRequirement, phase: str) -> None:
        """Unload what is idle where a model ran out of memory (6)."""
        self._notices.emit("out_of_memory", slot, device=need.device, phase=phase)
        # RAM beside a GPU's memory is not what ran out.
        devices = {device for device in need.memory if device != RAM} or {RAM}
        for resident in self._idle():
            if slot.name not in resident.names and any(map(resident.memory.get, devices)):
                self._moves.unload(resident.names, f"'{slot.name}' ran out of memory")

    def _idle(self) -> list[Resident]:
        residents = list_residents(self.slots.values(), self._ledger, self._clock())
        return [resident for resident in residents if resident.is_evictable]

    def _planner(self) -> PlacementPlanner:
        """Build the decisions of this moment, from a fresh reading of the devices."""
        return PlacementPlanner(self.slots, self._ledger, self._devices.read(), self._clock())

    def _caps(self) -> dict[str, int]:
        balances = self._planner().balances()
        return {device: balance.cap_bytes for device, balance in balances.items()}
