"""An answer that is asked for once, however many want it, and kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlightCache(Generic[T]):
    """`ask()`'s outcome, a value or an exception, not older than `keep_s`.

    Callers that come while it is being asked share one request; one of them being cancelled does
    not cancel it for the others. `ask` bounds itself.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        keep_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._request: asyncio.Task[T] | None = None
        self._fresh_until = 0.0

    async def get(self) -> T:
        """Return the outcome, asking for it unless it is fresh. Raises what `ask` raised."""
        if self._request is None or (self._request.done() and self._clock() >= self._fresh_until):
            self._request = asyncio.create_task(self._fetch(), name="probe")
        # Shielded: the request is shared, so no caller's cancellation may end it.
        return await asyncio.shield(self._request)

    def forget(self) -> None:
        """Have the next caller ask anew: the outcome is doubtful."""
        self._fresh_until = 0.0

    async def close(self) -> None:
        if self._request is not None:
            self._request.cancel()
            await asyncio.gather(self._request, return_exceptions=True)

    async def _fetch(self) -> T:
        try:
            return await self._ask()
        finally:
            self._fresh_until = self._clock() + self._keep_s
