"""Whom to unload for a model that needs room, whom to spare, and until when.

Everything about the choice is here: what losing a model costs, how long it is protected, when
its turn ends, and which set of models is the cheapest. `planning` asks for each place where the
model could go; `scheduler` carries the choice out.

What can be done for a model that needs room (`choose_victims`), best first:

    1  Fits         nothing has to go
    2  EvictIdle    idle models go, those that cost least
    3  WaitForBusy  models in use, or protected, would have to go: wait for them
    4  NoRoom       not even all of them would do
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.scheduling.ledger import Ledger, shared_group
from models.scheduling.slot import LOADED, RESIDENT, Slot
from models.scheduling.usage import Usage

TURN_FACTOR = 4.0
"""A model keeps its turn, while others wait, for so many times what swapping costs."""
MAX_TURN_S = 60.0
"""And never longer than this."""
MAX_EXACT = 12
"""Up to so many candidates the cheapest set is found by trying all; more are taken greedily."""
BUSY_COST_FACTOR = 4.0
"""Waiting for a model in use is so much dearer than unloading an idle one."""
MIN_REQUESTS = 0.1
"""Added to the requests of each model, so that one without any still costs its reload."""
MIN_RELOAD_S = 0.1
"""Even a load that takes no time costs something, so that equals are told apart by their use."""


@dataclass(frozen=True, slots=True)
class Resident:
    """What is loaded or loads: one model, or several that hold the same memory together."""

    names: tuple[str, ...]
    memory: Mapping[str, int]
    """Bytes by device."""
    pinned: bool
    busy: bool
    """Leased or waited for, or still loading."""
    protected: bool
    """Idle, but its next request is expected sooner than another could use its memory well."""
    cost: float
    """What losing it costs: reload seconds x recent requests x priority."""
    idle_s: float = 0.0

    @property
    def is_evictable(self) -> bool:
        return not (self.busy or self.protected or self.pinned)

    @property
    def price(self) -> float:
        """The cost of getting it out of the way, which takes waiting while it is busy."""
        return self.cost * (BUSY_COST_FACTOR if self.busy else 1.0)

    def freed_of(self, missing: Mapping[str, int]) -> int:
        """Sum the bytes of what is missing that unloading it would bring."""
        return sum(min(lack, self.memory.get(device, 0)) for device, lack in missing.items())


@dataclass(frozen=True, slots=True)
class Fits:
    """There is room, now or when what is on its way out has gone."""

    @property
    def preference(self) -> tuple[int, float]:
        return (1, 0.0)


@dataclass(frozen=True, slots=True)
class EvictIdle:
    """These idle models have to go first."""

    victims: tuple[str, ...]
    cost: float

    @property
    def preference(self) -> tuple[int, float]:
        return (2, self.cost)


@dataclass(frozen=True, slots=True)
class WaitForBusy:
    """These models have to become free first; none where models make way already."""

    blockers: tuple[str, ...] = ()
    cost: float = 0.0

    @property
    def preference(self) -> tuple[int, float]:
        return (3, self.cost)


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Unloading does not help. `permanent`: not even an empty device would do."""

    permanent: bool = False

    @property
    def preference(self) -> tuple[int, float]:
        # A refusal for now says more than one for good: there is a place that may do later.
        return (4, float(self.permanent))


EvictionDecision = Fits | EvictIdle | WaitForBusy | NoRoom


# What a model is worth, and for how long it is spared ------------------------------------------


def list_residents(
    slots: Iterable[Slot], ledger: Ledger, now_s: float, waiting: Slot | None = None
) -> list[Resident]:
    """List what holds memory and is not on its way out, as `waiting` sees it that wants room.

    Without `waiting` nothing is protected.
    """
    groups: dict[str, list[Slot]] = {}
    for slot in slots:
        if slot.state in RESIDENT and slot.load.handover is None:
            group = shared_group(slot.load.need) or f"model {slot.name}"
            groups.setdefault(group, []).append(slot)
    return [_resident(group, ledger, now_s, waiting) for group in groups.values()]


def _resident(group: list[Slot], ledger: Ledger, now_s: float, waiting: Slot | None) -> Resident:
    memory: dict[str, int] = {}
    for slot in group:
        for device, size in ledger.reserved(slot.name).items():
            memory[device] = max(size, memory.get(device, 0))
    return Resident(
        names=tuple(slot.name for slot in group),
        memory=memory,
        pinned=any(slot.pinned for slot in group),
        busy=any(not slot.is_unused or slot.state not in LOADED for slot in group),
        protected=waiting is not None
        and any(protected_until_s(slot, waiting) > now_s for slot in group),
        cost=sum(_cost(slot, now_s) for slot in group),
        idle_s=min(now_s - slot.load.idle_since_s for slot in group),
    )


def _cost(slot: Slot, now_s: float) -> float:
    requests = slot.usage.recent_requests(now_s) + MIN_REQUESTS
    return float(max(slot.usage.reload_s, MIN_RELOAD_S) * requests * 2.0**slot.spec.priority)


def protected_until_s(slot: Slot, waiting: Slot) -> float:
    """Return until when an idle model stays although `waiting` could use its memory.

    Its next request may come so soon that serving it first saves two swaps; but its turn ends.
    """
    swap_s = slot.usage.reload_s + waiting.usage.reload_s
    return min(slot.usage.expected_until_s(swap_s), turn_end_s(slot, waiting))


def turn_end_s(slot: Slot, waiting: Slot) -> float:
    """Return when a loaded model has to make way for `waiting`, used or not."""
    first = waiting.queue.waiting[0]
    # A low priority or a flooding tenant ranks later, but sets the turn's begin no further back
    # than this, so that the wait stays bounded.
    begins_s = min(first.rank_s, first.since_s + MAX_TURN_S)
    return max(slot.load.ready_since_s, begins_s) + turn_s(slot.usage, waiting.usage)


def turn_s(usage: Usage, waiting: Usage) -> float:
    """Return how long a model may go on serving newcomers while another waits."""
    return min(MAX_TURN_S, TURN_FACTOR * (usage.reload_s + waiting.reload_s))


# The cheapest set ------------------------------------------------------------------------------


def choose_victims(
    need: Mapping[str, int],
    free: Mapping[str, int],
    cap: Mapping[str, int],
    residents: Sequence[Resident],
) -> EvictionDecision:
    """Decide what has to go for one model, given the free memory and all that is loaded.

    Everything is bytes by device. A device without a cap does not exist.
    """
    if any(size > cap.get(device, 0) for device, size in need.items()):
        return NoRoom(permanent=True)  # 4
    lacks = {device: size - free.get(device, 0) for device, size in need.items() if size}
    missing = {device: lack for device, lack in lacks.items() if lack > 0}
    if not missing:
        return Fits()  # 1
    if chosen := cheapest_set(missing, [r for r in residents if r.is_evictable]):
        return EvictIdle(_names(chosen), _price(chosen))  # 2
    if chosen := cheapest_set(missing, [r for r in residents if not r.pinned]):
        return WaitForBusy(_names(chosen), _price(chosen))  # 3
    return NoRoom()  # 4


def cheapest_set(
    missing: Mapping[str, int], candidates: Sequence[Resident]
) -> tuple[Resident, ...]:
    """Return the cheapest set that frees enough; empty when all together would not."""
    useful = [resident for resident in candidates if resident.freed_of(missing)]
    if not _suffice(useful, missing):
        return ()  # evicting some of them would help nobody
    chosen = _greedy_set(missing, useful)
    return _exact_set(missing, useful, chosen) if len(useful) <= MAX_EXACT else chosen


def _suffice(residents: Sequence[Resident], missing: Mapping[str, int]) -> bool:
    """Tell whether all of them together hold what is missing, on every device."""
    return all(
        sum(r.memory.get(device, 0) for r in residents) >= lack for device, lack in missing.items()
    )


def _greedy_set(missing: Mapping[str, int], useful: Sequence[Resident]) -> tuple[Resident, ...]:
    chosen: list[Resident] = []
    for resident in sorted(useful, key=lambda r: (r.price / r.freed_of(missing), r.names)):
        if _suffice(chosen, missing):
            break
        chosen.append(resident)
    # The cheapest by the byte may have been taken before a bigger one made it needless.
    for resident in sorted(chosen, key=lambda r: -r.price):
        if _suffice([r for r in chosen if r is not resident], missing):
            chosen.remove(resident)
    return tuple(chosen)


def _exact_set(
    missing: Mapping[str, int], useful: Sequence[Resident], best: tuple[Resident, ...]
) -> tuple[Resident, ...]:
    """Search for the cheapest set of all, depth first, bounded by the price of `best`."""
    order = sorted(useful, key=lambda r: (r.price, r.names))
    limit = _price(best)

    def search(start: int, chosen: tuple[Resident, ...], price: float) -> None:
        nonlocal best, limit
        if _suffice(chosen, missing):
            best, limit = chosen, price
            return
        for number in range(start, len(order)):
            dearer = price + order[number].price
            if dearer >= limit:
                return  # those after it cost no less
            search(number + 1, (*chosen, order[number]), dearer)

    search(0, (), 0.0)
    return best


def _names(chosen: Sequence[Resident]) -> tuple[str, ...]:
    return tuple(name for resident in chosen for name in resident.names)


def _price(chosen: Sequence[Resident]) -> float:
    return sum(resident.price for resident in chosen)
