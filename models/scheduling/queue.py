"""In which order requests are served: by arrival, priority and what their tenant has waiting."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PRIORITY_S = 30.0
"""Each level of priority is worth so much waiting."""
FAIRNESS_S = 10.0
"""Each request that a tenant has waiting already sets its next one back by so much."""


class Waiter(NamedTuple):
    """A request without its lease yet. `rank_s` is when it would have come, were it usual.

    Ranks never change, so that nobody is overtaken for ever: what comes much later ranks later,
    whatever its priority. Waiters are compared by rank, then by ticket.
    """

    rank_s: float
    ticket: int
    since_s: float
    tenant: str


@dataclass(slots=True)
class SlotQueue:
    """The requests that wait for one model, and what they were last notified of.

    No operation looks at each of them: thousands may come, and give up, at once.
    """

    waiting: list[Waiter] = field(default_factory=list)
    """By rank, the first to be served first; changed by the methods alone."""
    last_notice: Mapping[str, Any] = field(default_factory=dict)
    """Empty while the model is loaded or nobody waits."""
    queued_ahead: int = 0
    """How many requests for other models are to be seen to before those of this one."""
    recheck_at_s: float | None = None
    """While the model waits for memory: when time alone may change the decision."""
    _by_ticket: dict[int, Waiter] = field(default_factory=dict)
    _by_tenant: dict[str, list[Waiter]] = field(default_factory=dict)
    """Each tenant's by rank."""

    def add(self, waiter: Waiter) -> None:
        """Put a request at the place of its rank."""
        self._by_ticket[waiter.ticket] = waiter
        insort(self.waiting, waiter)
        insort(self._by_tenant.setdefault(waiter.tenant, []), waiter)

    def remove(self, ticket: int) -> Waiter | None:
        """Take a request out; None when it does not wait here."""
        waiter = self._by_ticket.pop(ticket, None)
        if waiter:
            own = self._by_tenant[waiter.tenant]
            for waiting in (self.waiting, own):
                del waiting[bisect_left(waiting, waiter)]
            if not own:
                del self._by_tenant[waiter.tenant]
        return waiter

    def find(self, ticket: int) -> Waiter | None:
        """Return the request with this ticket; None when it does not wait here."""
        return self._by_ticket.get(ticket)

    def position(self, waiter: Waiter) -> int:
        """Return how many requests are to be served before this one."""
        return bisect_left(self.waiting, waiter)

    def waiter_to_shed(self) -> Waiter:
        """Return whom a full queue gives up: the last of the tenant that has most in it."""
        return max(self._by_tenant.values(), key=len)[-1]


class FairQueue:
    """Ranks requests over all models, by how many of its tenant's wait already."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    def enter(self, ticket: int, tenant: str, priority: int, now_s: float) -> Waiter:
        """Rank a new request; call `leave` when it waits no longer."""
        rank_s = now_s + self._waiting[tenant] * FAIRNESS_S - priority * PRIORITY_S
        self._waiting[tenant] += 1
        return Waiter(rank_s, ticket, now_s, tenant)

    def leave(self, waiter: Waiter) -> None:
        """Count a request no longer: it was granted, rejected or given up."""
        self._waiting[waiter.tenant] -= 1
        if self._waiting[waiter.tenant] <= 0:
            del self._waiting[waiter.tenant]
