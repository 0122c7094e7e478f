"""Which models to unload for one that needs room, and what to say about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MIN_RESIDENCE_S = 5.0
RECENT_S = 600.0
TIMER_SLACK_S = 0.01


@dataclass(frozen=True, slots=True)
class Resident:
    """A loaded model and what it holds, by device."""

    name: str
    memory: Mapping[str, int]
    leased: bool
    pinned: bool
    priority: int
    load_s: float
    resident_s: float
    idle_s: float

    @property
    def evictable(self) -> bool:
        return not (self.leased or self.pinned or not any(self.memory.values()))

    @property
    def settled(self) -> bool:
        """Resident long enough: two models that do not fit together must not thrash."""
        return self.resident_s >= MIN_RESIDENCE_S - TIMER_SLACK_S

    @property
    def cost(self) -> float:
        """What losing it costs: reload time, weighted by recent use and priority."""
        recency = 1.0 / (1.0 + self.idle_s / RECENT_S)
        return max(self.load_s, 0.1) * recency * 2.0**self.priority

    def frees(self, missing: Mapping[str, int]) -> int:
        """The bytes of what is missing that its going would bring."""
        return sum(min(lack, self.memory.get(device, 0)) for device, lack in missing.items())


@dataclass(frozen=True, slots=True)
class Admission:
    """What is to be done for a model that wants memory.

    fits: load now · evicts: unload `models` first · waits: for `models` to become free ·
    refuses: it cannot be loaded; `permanent` when not even an empty device would do.
    """

    verdict: Literal["fits", "evicts", "waits", "refuses"]
    models: tuple[str, ...] = ()
    permanent: bool = False


def admit(
    need: Mapping[str, int],
    free: Mapping[str, int],
    cap: Mapping[str, int],
    residents: Sequence[Resident],
) -> Admission:
    """The decision for one model, given the free memory and all that is loaded beside it.

    Everything is bytes by device. A device without a cap does not exist.
    """
    if any(wanted > cap.get(device, 0) for device, wanted in need.items()):
        return Admission("refuses", permanent=True)
    lacks = {device: wanted - free.get(device, 0) for device, wanted in need.items()}
    missing = {device: lack for device, lack in lacks.items() if lack > 0}
    if not missing:
        return Admission("fits")
    if chosen := victims(missing, [r for r in residents if r.evictable and r.settled]):
        return Admission("evicts", chosen)
    busy = [r for r in residents if not r.pinned and r.frees(missing)]
    if enough(busy, missing):
        return Admission("waits", tuple(r.name for r in busy))
    return Admission("refuses")


def victims(missing: Mapping[str, int], candidates: Sequence[Resident]) -> tuple[str, ...]:
    """The cheapest set that frees enough; empty when all together would not (evict nothing)."""
    useful = [resident for resident in candidates if resident.frees(missing)]
    if not enough(useful, missing):
        return ()
    chosen: list[Resident] = []
    for resident in sorted(useful, key=lambda r: (r.cost / r.frees(missing), r.name)):
        if enough(chosen, missing):
            break
        chosen.append(resident)
    # The cheapest by the byte may have been taken before a bigger one made it needless.
    for resident in sorted(chosen, key=lambda r: -r.cost):
        if enough([r for r in chosen if r is not resident], missing):
            chosen.remove(resident)
    return tuple(r.name for r in chosen)


def enough(residents: Sequence[Resident], missing: Mapping[str, int]) -> bool:
    """Whether all of them together hold what is missing, on every device."""
    return all(
        sum(r.memory.get(device, 0) for r in residents) >= lack for device, lack in missing.items()
    )
