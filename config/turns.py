"""A bounded number of holders at once, and tenants in turn: much work of one holds up no other.

Invariants: a turn that was given to someone who gave up meanwhile goes to the next; while a turn is
free, nobody waits except those whose tenant holds as many as it may.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSemaphore:
    """A semaphore whose waiters are served tenant by tenant, each tenant's in order.

    Of one tenant at most `per_tenant` hold it at once; without that, as many as there are.
    """

    def __init__(self, limit: int, per_tenant: int | None = None) -> None:
        self._free = limit
        self._per_tenant = min(limit, per_tenant or limit)
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By tenant, the one whose turn is next first."""

    def must_wait(self, tenant: str) -> bool:
        """Return whether who came now for a tenant would wait."""
        return not self._free or self._held[tenant] >= self._per_tenant

    @asynccontextmanager
    async def hold(self, tenant: str) -> AsyncIterator[None]:
        """Hold one of the turns for a tenant, when it is free and the tenant's."""
        await self._acquire(tenant)
        try:
            yield
        finally:
            self._release(tenant)

    async def _acquire(self, tenant: str) -> None:
        if not self.must_wait(tenant):
            self._take(tenant)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # given in the tick of the cancellation
                self._release(tenant)
            raise

    def _take(self, tenant: str) -> None:
        self._free -= 1
        self._held[tenant] += 1

    def _release(self, tenant: str) -> None:
        self._free += 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        while self._free and (first := self._first_waiting()) is not None:
            turns = self._waiting.pop(first)
            turn = turns.popleft()
            if turns:
                self._waiting[first] = turns  # behind the others
            if not turn.done():
                self._take(first)
                turn.set_result(None)

    def _first_waiting(self) -> str | None:
        """Return the tenant whose turn it is, of those that may hold one more."""
        may_hold = (each for each in self._waiting if self._held[each] < self._per_tenant)
        return next(may_hold, None)
