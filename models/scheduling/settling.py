"""What follows from each thing that happens: who gets a lease, what is loaded, what must go."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.devices import Devices
from models.scheduling import explanations as explain
from models.scheduling.effects import Effect, EmitEvent, Grant, Load, NotifyWaiter, Reject, Unload
from models.scheduling.ledger import Ledger
from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.planning import PATIENCE_S, Decision, PlacementPlanner
from models.scheduling.pressure import SLACK_S, Pressure
from models.scheduling.queue import FairQueue, Waiter
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import PRESENT, WANTED, Handover, Slot, State
from models.scheduling.usage import Usages


class Settling:
    """The state of the scheduler, and the steps it is changed by. `settle` ends each change."""

    def __init__(
        self, ledger: Ledger, devices: Devices, clock: Callable[[], float], needs: MemoryEstimates
    ) -> None:
        self.slots: dict[str, Slot] = {}
        self.ledger = ledger
        self.pressure = Pressure()
        self._devices = devices
        self._clock = clock
        self._needs = needs
        self._holders: dict[int, tuple[Slot, int]] = {}
        self._tenants = FairQueue()
        self._usages = Usages()
        self._pins: dict[str, bool] = {}
        self._generations = itertools.count(1)
        self._effects: list[Effect] = []

    def plan(self) -> PlacementPlanner:
        """The decisions that can be made now, from a fresh reading of the devices."""
        return PlacementPlanner(self.slots, self.ledger, self._devices.read(), self._clock())

    def settle(self) -> list[Effect]:
        """Decide everything that can be decided now; what is to be done about it."""
        now_s = self._clock()
        for slot in self.slots.values():
            self._open_again(slot, now_s)
            self.grant(slot, now_s)
            if slot.unload_at_s is not None and slot.unload_at_s <= now_s:
                self.stop([slot.name], "idle")
            elif slot.state is State.DRAINING and not slot.leases:
                reason = f"room for '{slot.yielding.to}'" if slot.yielding else "asked for"
                self.stop([slot.name], reason)
        if any(slot.wanted for slot in self.slots.values()):
            self._seat(now_s)
            for slot in self.slots.values():
                self._open_again(slot, now_s)
        for name in [name for name, slot in self.slots.items() if slot.over(now_s)]:
            del self.slots[name]
        effects, self._effects = self._effects, []
        return effects

    # Requests -----------------------------------------------------------------------------------

    def slot_for(self, spec: ModelSpec, needs: tuple[MemoryRequirement, ...]) -> Slot:
        """The slot of a model that is asked for; what it is may have changed while nobody was."""
        slot = self.slots.get(spec.name)
        if slot is None:
            slot = Slot(spec, needs, needs[0], self._usages.of(spec.name))
            slot.pinned = self.pinned(spec)
            self.slots[spec.name] = slot
        if slot.state in WANTED and not slot.waiting:
            slot.successor = (spec, needs)
            self.prepare(slot)
        return slot

    def prepare(self, slot: Slot) -> None:
        """Nothing of it is loaded: take up what its file says now, and what was measured."""
        slot.succeed()
        slot.needs = self._needs.estimates(slot.spec, slot.needs)
        slot.need = slot.needs[0]
        if slot.usage.load_s is None:
            slot.usage.load_s = self._needs.load_s(slot.spec, slot.need)

    def wait(self, slot: Slot, ticket: int, tenant: str, priority: int) -> None:
        now_s = self._clock()
        slot.usage.requested(now_s)
        slot.wait(self._tenants.arrive(ticket, tenant, priority, now_s))
        self._holders[ticket] = (slot, 0)

    def let_go(self, ticket: int) -> None:
        slot, generation = self._holders.pop(ticket, (None, 0))
        if slot is None:
            return
        if waiter := slot.stop_waiting(ticket):
            self._tenants.leave(waiter)
        if slot.generation == generation and ticket in slot.leases:
            slot.idle_since_s = self._clock()
            slot.usage.released(slot.idle_since_s - slot.leases.pop(ticket))
            slot.first_done_s = slot.first_done_s or slot.idle_since_s
        if slot.unused:
            slot.usage.idle(self._clock())

    def grant(self, slot: Slot, now_s: float) -> None:
        while slot.grantable(now_s):
            waiter = slot.waiting.pop(0)
            self._tenants.leave(waiter)
            slot.leases[waiter.ticket] = now_s
            self._holders[waiter.ticket] = (slot, slot.generation)
            self._effects.append(Grant(waiter.ticket, slot.name, slot.generation))

    def refuse(self, slot: Slot, waiting: Sequence[Waiter], error: MotetError) -> None:
        if waiting and slot.state is not State.FAILED:
            self.happened("refused", slot, error=error.as_dict())
        for waiter in list(waiting):
            slot.waiting.remove(waiter)
            self._tenants.leave(waiter)
            self._holders.pop(waiter.ticket, None)
            self._effects.append(Reject(waiter.ticket, error))
        if not slot.waiting:
            slot.told = {}
            if slot.state is State.QUEUED:
                slot.state = State.ABSENT

    # Loads --------------------------------------------------------------------------------------

    def _seat(self, now_s: float) -> None:
        """Find room for each model that is wanted and not there, the most urgent first."""
        plan = self.plan()
        wanted = sorted((s for s in self.slots.values() if s.wanted), key=lambda s: s.waiting[0])
        ahead = 0
        for slot in wanted:
            decision = plan.decide(slot)
            slot.need = decision.need
            verdict = decision.admission.verdict
            if decision.loads:
                self._load(slot, now_s)
                continue
            if verdict == "refuses":
                error = explain.no_room(slot.name, decision)
                self.refuse(slot, slot.waiting, error)
                continue
            self._queue(slot, decision, plan, ahead, now_s)
            ahead += len(slot.waiting)

    def _queue(
        self, slot: Slot, decision: Decision, plan: PlacementPlanner, ahead: int, now_s: float
    ) -> None:
        """It waits for its memory; see that it comes."""
        verdict, names = decision.admission.verdict, decision.admission.models
        slot.state, slot.look_again_s = State.QUEUED, decision.again_s
        if verdict == "evicts":
            self.stop(names, f"room for '{slot.name}'")
        if decision.closes:
            self._close(slot, names, now_s)
        behind = names or plan.in_the_way(slot, decision.need)
        self._tell(slot, explain.waits(decision, behind), ahead)
        # One that waits for leases to end lets smaller loads pass, but not for ever.
        patient = slot.waiting[0].since_s + PATIENCE_S > now_s
        if verdict != "waits" or plan.makes_way(slot) or not patient:
            plan.promise(slot, decision.need)

    def _close(self, slot: Slot, names: Iterable[str], now_s: float) -> None:
        """Models in use make way: they serve who came before, and then `slot` has its turn."""
        for name in names:
            other = self.slots[name]
            if not other.unused:
                other.state = State.DRAINING
                other.yielding = Handover(slot.name, slot.waiting[0].rank_s, now_s)
                self.happened("preempted", other, to=slot.name)

    def _open_again(self, slot: Slot, now_s: float) -> None:
        """Whom it made way for wants nothing any more."""
        if slot.yielding is None or slot.state is not State.DRAINING:
            return
        other = self.slots.get(slot.yielding.to)
        if slot.pinned or other is None or not other.wanted:
            slot.yielding = None
            if not slot.unload_asked:
                slot.state = State.READY
                self.grant(slot, now_s)

    def _load(self, slot: Slot, now_s: float) -> None:
        self.ledger.reserve(slot.name, slot.need)
        slot.state, slot.generation = State.LOADING, next(self._generations)
        slot.load_started_s, slot.look_again_s, slot.first_done_s = now_s, None, None
        slot.unload_asked, slot.yielding = False, None
        memory = dict(slot.need.memory)
        self.happened("loading", slot, device=slot.need.device, memory=memory)
        self._effects.append(Load(slot.spec, slot.need, slot.generation))
        self._tell(slot, {"phase": "loading"}, 0)

    def settle_memory(
        self, slot: Slot, memory: Mapping[str, int] | None, load_s: float | None = None
    ) -> None:
        """It is loaded: a measurement takes the place of the estimate, now and next time."""
        if memory is not None:
            slot.measured(memory)
        slot.need = self._needs.measured(slot.spec, slot.need, load_s)
        self.ledger.settle(slot.name, slot.need.memory)

    def raise_need(self, slot: Slot, need: MemoryRequirement) -> None:
        """It ran out of memory with `need`: it is known to take more than that."""
        caps = {balance.device: balance.cap_bytes for balance in self.plan().balances().values()}
        raised = self._needs.ran_out(slot.spec, need, caps)
        if slot.state in PRESENT:
            slot.need = raised
            self.ledger.settle(slot.name, raised.memory)
        else:
            self.prepare(slot)

    def stop(self, names: Iterable[str], reason: str) -> None:
        for name in names:
            slot = self.slots[name]
            slot.state = State.STOPPING
            self.happened("unloading", slot, reason=reason)
            self._effects.append(Unload(name, slot.generation, reason))

    def forget(self, slot: Slot) -> None:
        """Nothing of it is loaded any more."""
        self.ledger.release(slot.name)
        slot.state, slot.yielding, slot.unload_asked = State.ABSENT, None, False
        slot.told = {}
        self.prepare(slot)

    # Pins, pressure and time --------------------------------------------------------------------

    def pinned(self, spec: ModelSpec) -> bool:
        return self._pins.get(spec.name, spec.pin)

    def pin(self, name: str, pinned: bool) -> None:
        self._pins[name] = pinned
        self._effects.append(EmitEvent("pinned" if pinned else "unpinned", {"model": name}))
        if slot := self.slots.get(name):
            slot.pinned = pinned
            slot.idle_since_s = self._clock()

    def reading_due(self) -> bool:
        return self._holding() and self.pressure.due(self._clock())

    def relieve(self) -> None:
        """Unload what is idle on devices that run full, where that helps."""
        plan = self.plan()
        idle = [resident for resident in plan.residents() if resident.evictable]
        for each in self.pressure.read(
            plan.balances().values(), idle, plan.leaving_devices(), self._clock()
        ):
            names = each.victim.names if each.victim else ()
            told = {"device": each.device, "used_share": round(each.used_share, 3)}
            self._effects.append(EmitEvent("pressure", {**told, "unloads": list(names)}))
            if all(self.slots[name].state is State.READY for name in names):
                self.stop(names, f"pressure on {each.device}")

    def next_wake_s(self) -> float | None:
        now_s = self._clock()
        times = [max(self.pressure.due_s, now_s + SLACK_S)] if self._holding() else []
        for slot in self.slots.values():
            # What is past was seen to already: only a later moment can change anything.
            times += [at for at in slot.wakes_s() if at > now_s]
        return min(times, default=None)

    def _holding(self) -> bool:
        """Whether anything is loaded that takes memory here."""
        return any(
            slot.state in PRESENT and any(slot.need.memory.values()) for slot in self.slots.values()
        )

    # News ---------------------------------------------------------------------------------------

    def happened(self, event: str, slot: Slot, **fields: object) -> None:
        told = {"model": slot.name, "generation": slot.generation, **fields}
        self._effects.append(EmitEvent(event, told))

    def stands(self, slot: Slot, ticket: int) -> Mapping[str, Any] | None:
        """What one request that waits is to know; None when it does not wait."""
        waiter = next((each for each in slot.waiting if each.ticket == ticket), None)
        if waiter is None:
            return None
        news = slot.told or explain.served_in_turn(slot)
        return {**news, **self._in_line(slot, waiter)}

    def _tell(self, slot: Slot, news: dict[str, Any], ahead: int) -> None:
        slot.ahead = ahead
        if explain.same_news(slot.told, news):
            return
        slot.told = news
        if news["phase"] == "queued":
            fields = {key: value for key, value in news.items() if key != "phase"}
            self.happened("queued", slot, **fields, ahead=ahead, waiting=len(slot.waiting))
        for waiter in slot.waiting:
            told = {**news, **self._in_line(slot, waiter)}
            self._effects.append(NotifyWaiter(waiter.ticket, told))

    def _in_line(self, slot: Slot, waiter: Waiter) -> dict[str, Any]:
        return explain.place_in_line(slot, waiter, self.slots, self._clock())
