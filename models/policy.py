"""Which models to unload for one that needs room, and what to say about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MIN_RESIDENCE_S = 5.0
RECENT_S = 600.0
TIMER_SLACK_S = 0.01


@dataclass(frozen=True, slots=True)
class Resident:
    """A loaded model on the device in question."""

    name: str
    memory_bytes: int
    leased: bool
    pinned: bool
    priority: int
    load_s: float
    resident_s: float
    idle_s: float

    @property
    def evictable(self) -> bool:
        return not (self.leased or self.pinned or self.memory_bytes == 0)

    @property
    def settled(self) -> bool:
        """Resident long enough: two models that do not fit together must not thrash."""
        return self.resident_s >= MIN_RESIDENCE_S - TIMER_SLACK_S

    @property
    def cost(self) -> float:
        """What losing it costs: reload time, weighted by recent use and priority."""
        recency = 1.0 / (1.0 + self.idle_s / RECENT_S)
        return max(self.load_s, 0.1) * recency * 2.0**self.priority


@dataclass(frozen=True, slots=True)
class Admission:
    """What is to be done for a model that wants `need_bytes`.

    fits: load now · evicts: unload `models` first · waits: for `models` to become free ·
    refuses: it cannot be loaded; `permanent` when not even an empty device would do.
    """

    verdict: Literal["fits", "evicts", "waits", "refuses"]
    models: tuple[str, ...] = ()
    permanent: bool = False


def admit(
    need_bytes: int, free_bytes: int, cap_bytes: int, residents: Sequence[Resident]
) -> Admission:
    """The decision for one model, given the free memory and all that is loaded beside it."""
    if need_bytes > cap_bytes:
        return Admission("refuses", permanent=True)
    missing = need_bytes - free_bytes
    if missing <= 0:
        return Admission("fits")
    if chosen := victims(missing, [r for r in residents if r.evictable and r.settled]):
        return Admission("evicts", chosen)
    busy = [r for r in residents if not r.pinned and r.memory_bytes > 0]
    if sum(r.memory_bytes for r in busy) >= missing:
        return Admission("waits", tuple(r.name for r in busy))
    return Admission("refuses")


def victims(missing_bytes: int, candidates: Sequence[Resident]) -> tuple[str, ...]:
    """The cheapest set that frees enough; empty when all together would not (evict nothing)."""
    chosen: list[Resident] = []
    for resident in sorted(candidates, key=lambda r: (r.cost / r.memory_bytes, r.name)):
        if sum(r.memory_bytes for r in chosen) >= missing_bytes:
            break
        chosen.append(resident)
    if sum(r.memory_bytes for r in chosen) < missing_bytes:
        return ()
    # The cheapest by the byte may have been taken before a bigger one made it needless.
    for resident in sorted(chosen, key=lambda r: -r.cost):
        if sum(r.memory_bytes for r in chosen if r is not resident) >= missing_bytes:
            chosen.remove(resident)
    return tuple(r.name for r in chosen)
