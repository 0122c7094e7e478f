"""Where a model that is waited for goes, and what has to happen first: over all devices at once.

A `PlacementPlanner` decides at one moment, for one model after the other, the most urgent first;
it changes nothing. `eviction` says what would have to go at each place. The numbers of the
decisions are those of the scheduler's decision tree.

    2.1  LoadNow      its memory is free
    2.2  AwaitUnload  its memory is being freed already
    2.3  Evict        idle models are to go
    2.4  Preempt      models in use have had their turn: they are to make way
    2.5  Wait         models in use have their turn yet, or make way already
    2.6  Refuse       it cannot be loaded: now, or ever
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.devices import CPU, DeviceMemory
from models.scheduling.eviction import (
    EvictIdle,
    EvictionDecision,
    Fits,
    NoRoom,
    WaitForBusy,
    choose_victims,
    list_residents,
    protected_until_s,
    turn_end_s,
)
from models.scheduling.ledger import DeviceBalance, Ledger
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import LOADED, Slot, State


@dataclass(frozen=True, slots=True)
class _Placed:
    """The place that was chosen, and the devices as they were then."""

    need: MemoryRequirement
    balances: Mapping[str, DeviceBalance]


@dataclass(frozen=True, slots=True)
class LoadNow(_Placed):
    """Begin to load."""


@dataclass(frozen=True, slots=True)
class AwaitUnload(_Placed):
    """Load when what is on its way out has gone."""


@dataclass(frozen=True, slots=True)
class Evict(_Placed):
    """Unload these idle models, then load."""

    victims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait(_Placed):
    """Wait for these models; time alone may change the decision at `recheck_at_s`."""

    blockers: tuple[str, ...]
    recheck_at_s: float | None


@dataclass(frozen=True, slots=True)
class Preempt(_Placed):
    """Let those of these models that are in use make way; `recheck_at_s` as in `Wait`."""

    blockers: tuple[str, ...]
    recheck_at_s: float | None


@dataclass(frozen=True, slots=True)
class Refuse(_Placed):
    """Reject who waits. `permanent`: not even an empty device would do."""

    permanent: bool


Decision = LoadNow | AwaitUnload | Evict | Preempt | Wait | Refuse


@dataclass(frozen=True, slots=True)
class _Option:
    """One place where a model could be loaded, and what has to go there."""

    need: MemoryRequirement
    outcome: EvictionDecision


class PlacementPlanner:
    """The decisions of one moment. `readings` are those of the devices, taken for it."""

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
        """Return what is reserved and free on each device."""
        return {d: self._ledger.balance(d, memory) for d, memory in self._readings.items()}

    def decide(self, slot: Slot) -> Decision:
        """Decide about a model whose requests wait; `promise` it what it will get later."""
        balances = self.balances()
        option = self._best_option(slot, balances)
        need = option.need
        match option.outcome:
            case Fits() if self._is_free_now(slot, need, balances):
                return LoadNow(need, balances)
            case Fits():
                return AwaitUnload(need, balances)
            case EvictIdle(victims):
                return Evict(need, balances, victims)
            case WaitForBusy(blockers):
                recheck_at_s = self._next_change_s(slot, blockers)
                if self._had_their_turn(slot, blockers):
                    return Preempt(need, balances, blockers, recheck_at_s)
                return Wait(need, balances, blockers, recheck_at_s)
            case NoRoom(permanent):
                return Refuse(need, balances, permanent)

    def promise(self, slot: Slot, need: MemoryRequirement) -> None:
        """Keep room for a model, so that less urgent ones are not loaded into it meanwhile."""
        own = self._reserved(self._handing_over_to(slot))
        for device, size in self._ledger.additional(need).items():
            self._promised[device] += max(0, size - own[device])

    def blockers(self, slot: Slot, need: MemoryRequirement) -> list[str]:
        """Name the models whose memory a model waits for, where its decision names none."""
        if own := self._handing_over_to(slot):
            return [each.name for each in own]
        holders = [other for other in self._slots.values() if self._holds_some_of(other, need)]
        stopping = [each.name for each in holders if each.state is State.STOPPING]
        return stopping or [each.name for each in holders]

    def devices_being_freed(self) -> set[str]:
        """Return the devices that models on their way out hold memory of."""
        return {device for device, size in self._reserved(self._stopping()).items() if size}

    def has_handover(self, slot: Slot) -> bool:
        """Tell whether models in use make way for this one already."""
        return bool(self._handing_over_to(slot))

    # Turns --------------------------------------------------------------------------------------

    def _is_free_now(
        self, slot: Slot, need: MemoryRequirement, balances: Mapping[str, DeviceBalance]
    ) -> bool:
        adds = {d: size for d, size in self._ledger.additional(need).items() if size}
        if not all(balances[device].free_bytes >= size for device, size in adds.items()):
            return False
        # What ran out of memory a moment ago waits for all that is being freed for it.
        return not (slot.backoff.retries and self.devices_being_freed() & adds.keys())

    def _had_their_turn(self, waiting: Slot, names: Iterable[str]) -> bool:
        """Tell whether all may go, and some of them only after a handover."""
        slots = [self._slots[name] for name in names]
        ended = all(
            slot.state in LOADED and (slot.is_unused or turn_end_s(slot, waiting) <= self._now_s)
            for slot in slots
        )
        return ended and not all(slot.is_unused for slot in slots)

    def _next_change_s(self, waiting: Slot, names: Iterable[str]) -> float | None:
        times = []
        for slot in (self._slots[name] for name in names):
            end_s = protected_until_s if slot.is_unused else turn_end_s
            times.append(end_s(slot, waiting))
        return min((at_s for at_s in times if at_s > self._now_s), default=None)

    # Places -------------------------------------------------------------------------------------

    def _best_option(self, slot: Slot, balances: Mapping[str, DeviceBalance]) -> _Option:
        """Choose an accelerator with room, else one where least must go, else the CPU.

        The CPU is much slower: it is for what no accelerator can ever hold, or can hold now.
        """
        options = self._options(slot, balances)
        possible = [each for each in options if not isinstance(each.outcome, NoRoom)]
        fast = [each for each in possible if each.need.device != CPU]
        return min(fast or possible or options, key=lambda each: each.outcome.preference)

    def _options(self, slot: Slot, balances: Mapping[str, DeviceBalance]) -> list[_Option]:
        caps = {device: balance.cap_bytes for device, balance in balances.items()}
        stopping = self._reserved(self._stopping())
        handovers = self._handing_over_to(slot)
        for_it = self._reserved(handovers)
        # What is being freed belongs to whom it is freed for, not to who comes later: it counts
        # as free here, less what was promised to those that are more urgent.
        coming = {d: b.free_bytes + stopping[d] for d, b in balances.items()}
        room = {d: free + for_it[d] - self._promised[d] for d, free in coming.items()}
        all_handovers = self._reserved(self._handing_over())
        later = {d: free + all_handovers[d] for d, free in coming.items()}
        residents = list_residents(self._slots.values(), self._ledger, self._now_s, slot)
        options = []
        for need in slot.placements:
            adds = self._ledger.additional(need)
            outcome = choose_victims(adds, room, caps, residents)
            match outcome:
                case EvictIdle() if handovers:
                    # What is idle stays of use until those that make way are done.
                    outcome = WaitForBusy()
                case NoRoom():
                    # What others are promised now may be had after them.
                    if not isinstance(choose_victims(adds, later, caps, residents), NoRoom):
                        outcome = WaitForBusy()
            options.append(_Option(need, outcome))
        return options

    def _holds_some_of(self, slot: Slot, need: MemoryRequirement) -> bool:
        reserved = self._ledger.reserved(slot.name)
        return any(reserved.get(device) for device, size in need.memory.items() if size)

    def _stopping(self) -> list[Slot]:
        return [slot for slot in self._slots.values() if slot.state is State.STOPPING]

    def _handing_over(self) -> list[Slot]:
        return [s for s in self._slots.values() if s.load.handover and s.state in LOADED]

    def _handing_over_to(self, slot: Slot) -> list[Slot]:
        return [
            each
            for each in self._handing_over()
            if each.load.handover and each.load.handover.to == slot.name
        ]

    def _reserved(self, slots: Iterable[Slot]) -> Counter[str]:
        total: Counter[str] = Counter()
        for slot in slots:
            total.update(self._ledger.reserved(slot.name))
        return total
