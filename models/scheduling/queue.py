"""In which order requests are served: by arrival, priority and what their tenant asks already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

PRIORITY_S = 30.0
"""Each level of priority is worth so much waiting."""
FAIRNESS_S = 10.0
"""Each request that a tenant has waiting already sets its next one back by so much."""


@dataclass(frozen=True, order=True, slots=True)
class Waiter:
    """A request without its lease yet. `rank_s` is when it would have come, were it usual.

    Ranks never change, so that nobody is overtaken for ever: what comes much later ranks later,
    whatever its priority.
    """

    rank_s: float
    ticket: int
    since_s: float = field(compare=False)
    tenant: str = field(compare=False)


class FairQueue:
    """How many requests of each tenant wait."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    def arrive(self, ticket: int, tenant: str, priority: int, now_s: float) -> Waiter:
        """A new request; call `leave` when it waits no longer."""
        rank_s = now_s + self._waiting[tenant] * FAIRNESS_S - priority * PRIORITY_S
        self._waiting[tenant] += 1
        return Waiter(rank_s, ticket, now_s, tenant)

    def leave(self, waiter: Waiter) -> None:
        self._waiting[waiter.tenant] -= 1
        if self._waiting[waiter.tenant] <= 0:
            del self._waiting[waiter.tenant]


def waiter_to_shed(waiting: list[Waiter]) -> Waiter:
    """Whom a full line gives up: the last of the tenant that has most in it."""
    counts = Counter(waiter.tenant for waiter in waiting)
    most = max(counts, key=lambda tenant: counts[tenant])
    return next(waiter for waiter in reversed(waiting) if waiter.tenant == most)
