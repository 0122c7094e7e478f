"""Which models to unload for one that needs room, and what to say about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

EXACT = 12
"""Up to so many candidates the cheapest set is found by trying all; more are taken greedily."""
BUSY_COSTS = 4.0
"""Waiting for a model in use is so much dearer than unloading an idle one."""

Verdict = Literal["fits", "evicts", "waits", "refuses"]


@dataclass(frozen=True, slots=True)
class Resident:
    """What is loaded or loads: one model, or several that hold the same memory together."""

    names: tuple[str, ...]
    memory: Mapping[str, int]
    pinned: bool
    busy: bool
    """Leased or waited for, or still loading."""
    kept: bool
    """Idle, but its next request is expected sooner than another could use its memory well."""
    cost: float
    """What losing it costs: reload seconds x recent use x priority."""
    idle_s: float = 0.0

    @property
    def evictable(self) -> bool:
        return not (self.busy or self.kept or self.pinned)

    @property
    def price(self) -> float:
        """The cost of getting it out of the way, which takes waiting while it is busy."""
        return self.cost * (BUSY_COSTS if self.busy else 1.0)

    def frees(self, missing: Mapping[str, int]) -> int:
        """The bytes of what is missing that its going would bring."""
        return sum(min(lack, self.memory.get(device, 0)) for device, lack in missing.items())


@dataclass(frozen=True, slots=True)
class EvictionDecision:
    """What is to be done for a model that wants memory.

    fits: load now · evicts: unload `models` first · waits: for `models` to become free ·
    refuses: it cannot be loaded; `permanent` when not even an empty device would do.
    """

    verdict: Verdict
    models: tuple[str, ...] = ()
    cost: float = 0.0
    permanent: bool = False


def admit(
    need: Mapping[str, int],
    free: Mapping[str, int],
    cap: Mapping[str, int],
    residents: Sequence[Resident],
) -> EvictionDecision:
    """The decision for one model, given the free memory and all that is loaded beside it.

    Everything is bytes by device. A device without a cap does not exist.
    """
    if any(wanted > cap.get(device, 0) for device, wanted in need.items()):
        return EvictionDecision("refuses", permanent=True)
    lacks = {device: wanted - free.get(device, 0) for device, wanted in need.items() if wanted}
    missing = {device: lack for device, lack in lacks.items() if lack > 0}
    if not missing:
        return EvictionDecision("fits")
    if chosen := victims(missing, [r for r in residents if r.evictable]):
        return _admission("evicts", chosen)
    if chosen := victims(missing, [r for r in residents if not r.pinned]):
        return _admission("waits", chosen)
    return EvictionDecision("refuses")


def victims(missing: Mapping[str, int], candidates: Sequence[Resident]) -> tuple[Resident, ...]:
    """The cheapest set that frees enough; empty when all together would not (evict nothing)."""
    useful = [resident for resident in candidates if resident.frees(missing)]
    if not enough(useful, missing):
        return ()
    chosen = _greedy(missing, useful)
    return _exact(missing, useful, chosen) if len(useful) <= EXACT else chosen


def enough(residents: Sequence[Resident], missing: Mapping[str, int]) -> bool:
    """Whether all of them together hold what is missing, on every device."""
    return all(
        sum(r.memory.get(device, 0) for r in residents) >= lack for device, lack in missing.items()
    )


def _admission(verdict: Verdict, chosen: Sequence[Resident]) -> EvictionDecision:
    names = tuple(name for resident in chosen for name in resident.names)
    return EvictionDecision(verdict, names, sum(resident.price for resident in chosen))


def _greedy(missing: Mapping[str, int], useful: Sequence[Resident]) -> tuple[Resident, ...]:
    chosen: list[Resident] = []
    for resident in sorted(useful, key=lambda r: (r.price / r.frees(missing), r.names)):
        if enough(chosen, missing):
            break
        chosen.append(resident)
    # The cheapest by the byte may have been taken before a bigger one made it needless.
    for resident in sorted(chosen, key=lambda r: -r.price):
        if enough([r for r in chosen if r is not resident], missing):
            chosen.remove(resident)
    return tuple(chosen)


def _exact(
    missing: Mapping[str, int], useful: Sequence[Resident], best: tuple[Resident, ...]
) -> tuple[Resident, ...]:
    """The cheapest set of all, at least as good as `best`: depth first, bounded by the price."""
    order = sorted(useful, key=lambda r: (r.price, r.names))
    limit = sum(r.price for r in best)

    def search(start: int, chosen: tuple[Resident, ...], price: float) -> None:
        nonlocal best, limit
        if enough(chosen, missing):
            best, limit = chosen, price
            return
        for number in range(start, len(order)):
            dearer = price + order[number].price
            if dearer >= limit:
                return  # those after it cost no less
            search(number + 1, (*chosen, order[number]), dearer)

    search(0, (), 0.0)
    return best
