"""Where a wanted model goes, what must go for it, and when: decided over all devices at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.devices import CPU, DeviceMemory
from models.scheduling.eviction import EvictionDecision, Resident, admit
from models.scheduling.ledger import DeviceBalance, Ledger
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import LOADED, RESIDENT, Slot, State
from models.scheduling.usage import Usage

TURN_FACTOR = 4.0
"""A model keeps its turn, while others wait, for so many times what swapping costs."""
MAX_TURN_S = 60.0
PATIENCE_S = 30.0
"""So long a model that waits lets smaller ones pass; then their room is kept for it."""
UNUSED_COSTS = 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """For one wanted model: what `admission` says about `need`.

    `loads`: begin now. `closes`: the models of the admission are in use and had their turn: they
    are to make way. `again_s`: when time alone may change this.
    """

    need: MemoryRequirement
    admission: EvictionDecision
    balances: Mapping[str, DeviceBalance]
    loads: bool = False
    closes: bool = False
    again_s: float | None = None


class PlacementPlanner:
    """The decisions of one moment, for one wanted model after the other, most urgent first."""

    def __init__(
        self,
        slots: Mapping[str, Slot],
        ledger: Ledger,
        readings: Mapping[str, DeviceMemory],
        now_s: float,
    ) -> None:
        self._slots = slots
        self._ledger = ledger
        self._readings = readings
        self._now_s = now_s
        self._promised: Counter[str] = Counter()

    def balances(self) -> dict[str, DeviceBalance]:
        return {d: self._ledger.balance(d, memory) for d, memory in self._readings.items()}

    def decide(self, slot: Slot) -> Decision:
        """What to do for a wanted model. Tell `promise` what it will get later."""
        balances = self.balances()
        need, admission = self._place(slot, balances)
        if admission.verdict == "fits":
            adds = {device: wanted for device, wanted in self._ledger.adds(need).items() if wanted}
            loads = all(balances[device].free_bytes >= wanted for device, wanted in adds.items())
            # What ran out of memory a moment ago waits for all that is being freed for it.
            loads = loads and not (slot.retried and self.leaving_devices() & adds.keys())
            return Decision(need, admission, balances, loads=loads)
        if admission.verdict == "waits" and admission.models:
            again_s = self._next_change_s(slot, admission.models)
            closes = self._may_close(slot, admission.models)
            return Decision(need, admission, balances, closes=closes, again_s=again_s)
        return Decision(need, admission, balances)

    def promise(self, slot: Slot, need: MemoryRequirement) -> None:
        """Keep room for a model that will be loaded when it is free."""
        own = self._held(self._yielding_to(slot))
        for device, wanted in self._ledger.adds(need).items():
            self._promised[device] += max(0, wanted - own[device])

    def residents(self, waiting: Slot | None = None) -> list[Resident]:
        """All that holds memory and is not on its way out, as seen by one that wants room."""
        groups: dict[str, list[Slot]] = {}
        for slot in self._slots.values():
            if slot.state in RESIDENT and (slot.yielding is None):
                share = slot.need.share and f"share {slot.need.share} on {slot.need.device}"
                groups.setdefault(share or f"model {slot.name}", []).append(slot)
        return [self._resident(group, waiting) for group in groups.values()]

    def _resident(self, group: list[Slot], waiting: Slot | None) -> Resident:
        memory: dict[str, int] = {}
        for slot in group:
            for device, held in self._ledger.held(slot.name).items():
                memory[device] = max(held, memory.get(device, 0))
        return Resident(
            names=tuple(slot.name for slot in group),
            memory=memory,
            pinned=any(slot.pinned for slot in group),
            busy=any(not slot.unused or slot.state not in LOADED for slot in group),
            kept=waiting is not None and any(self._kept(slot, waiting) for slot in group),
            cost=sum(self._cost(slot) for slot in group),
            idle_s=min(self._now_s - slot.idle_since_s for slot in group),
        )

    def _cost(self, slot: Slot) -> float:
        use = slot.usage.recent(self._now_s) + UNUSED_COSTS
        return float(max(slot.usage.reload_s, 0.1) * use * 2.0**slot.spec.priority)

    # Two models that do not fit together --------------------------------------------------------

    def _kept(self, slot: Slot, waiting: Slot) -> bool:
        """Its next request comes so soon that serving it first saves swaps; but not for ever."""
        return self._free_at_s(slot, waiting) > self._now_s

    def _free_at_s(self, slot: Slot, waiting: Slot) -> float:
        """When an idle model may go for another that waits."""
        swap_s = slot.usage.reload_s + waiting.usage.reload_s
        return min(slot.usage.expected_until_s(swap_s), self._closes_at_s(slot, waiting))

    def _closes_at_s(self, slot: Slot, waiting: Slot) -> float:
        """When the turn of a model ends that others wait for."""
        turn_s = turn(slot.usage, waiting.usage)
        first = waiting.waiting[0]
        asked_s = min(first.rank_s, first.since_s + MAX_TURN_S)
        return max(slot.ready_since_s, asked_s) + turn_s

    def _may_close(self, waiting: Slot, names: Iterable[str]) -> bool:
        slots = [self._slots[name] for name in names]
        return all(
            slot.state in LOADED
            and (slot.unused or self._closes_at_s(slot, waiting) <= self._now_s)
            for slot in slots
        )

    def _next_change_s(self, waiting: Slot, names: Iterable[str]) -> float | None:
        times = []
        for slot in (self._slots[name] for name in names):
            at_s = self._free_at_s if slot.unused else self._closes_at_s
            times.append(at_s(slot, waiting))
        return min((at_s for at_s in times if at_s > self._now_s), default=None)

    # Places -------------------------------------------------------------------------------------

    def _place(
        self, slot: Slot, balances: Mapping[str, DeviceBalance]
    ) -> tuple[MemoryRequirement, EvictionDecision]:
        """An accelerator with room, else one where least must go or be waited for, else the CPU.

        The CPU is much slower: it is for what no accelerator can ever hold, or can hold now.
        """
        found = self._admissions(slot, balances)
        order = {"fits": 0, "evicts": 1, "waits": 2}
        fast = [each for each in found if each[0].device != CPU and each[1].verdict in order]
        if fast:
            return min(fast, key=lambda each: (order[each[1].verdict], each[1].cost))
        slow = [each for each in found if each[0].device == CPU]
        # A refusal for now says more than one for good: there is a place that may do later.
        refused = min(found, key=lambda each: each[1].permanent)
        return next((each for each in slow if each[1].verdict in order), refused)

    def _admissions(
        self, slot: Slot, balances: Mapping[str, DeviceBalance]
    ) -> list[tuple[MemoryRequirement, EvictionDecision]]:
        caps = {device: balance.cap_bytes for device, balance in balances.items()}
        leaving = self._held(self._leaving())
        own = self._yielding_to(slot)
        for_it = self._held(own)
        # What is being freed belongs to whom it is freed for, not to who comes later.
        coming = {d: b.free_bytes + leaving[d] for d, b in balances.items()}
        room = {d: free + for_it[d] - self._promised[d] for d, free in coming.items()}
        all_yielding = self._held(self._yielding())
        one_day = {d: free + all_yielding[d] for d, free in coming.items()}
        residents = self.residents(slot)
        found = []
        for need in slot.needs:
            adds = self._ledger.adds(need)
            admission = admit(adds, room, caps, residents)
            # What is idle stays of use until those that make way are done; and what is kept for
            # others now may be had after them.
            if admission.verdict == "evicts" and own:
                admission = EvictionDecision("waits")
            elif admission.verdict == "refuses":
                later = admit(adds, one_day, caps, residents).verdict
                admission = admission if later == "refuses" else EvictionDecision("waits")
            found.append((need, admission))
        return found

    def in_the_way(self, slot: Slot, need: MemoryRequirement) -> list[str]:
        """The models whose memory it waits for, where its admission names none."""
        if own := self._yielding_to(slot):
            return [each.name for each in own]
        held = [s for s in self._slots.values() if self._touches(s, need)]
        leaving = [each.name for each in held if each.state is State.STOPPING]
        return leaving or [each.name for each in held]

    def leaving_devices(self) -> set[str]:
        """Where memory is being freed."""
        return {device for device, held in self._held(self._leaving()).items() if held}

    def makes_way(self, slot: Slot) -> bool:
        """Whether models in use make way for it already."""
        return bool(self._yielding_to(slot))

    def _touches(self, slot: Slot, need: MemoryRequirement) -> bool:
        held = self._ledger.held(slot.name)
        return any(held.get(device) for device, wanted in need.memory.items() if wanted)

    def _leaving(self) -> list[Slot]:
        return [slot for slot in self._slots.values() if slot.state is State.STOPPING]

    def _yielding(self) -> list[Slot]:
        return [s for s in self._slots.values() if s.yielding and s.state in LOADED]

    def _yielding_to(self, slot: Slot) -> list[Slot]:
        return [s for s in self._yielding() if s.yielding and s.yielding.to == slot.name]

    def _held(self, slots: Iterable[Slot]) -> Counter[str]:
        held: Counter[str] = Counter()
        for slot in slots:
            held.update(self._ledger.held(slot.name))
        return held


def turn(slot: Usage, waiting: Usage) -> float:
    """How long a model may go on serving newcomers while another waits, in seconds."""
    return min(MAX_TURN_S, TURN_FACTOR * (slot.reload_s + waiting.reload_s))
