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
        self._asked: asyncio.Task[T] | None = None
        self._fresh_until = 0.0

    async def get(self) -> T:
        """The outcome. Raises what `ask` raised."""
        if self._asked is None or (self._asked.done() and self._clock() >= self._fresh_until):
            self._asked = asyncio.create_task(self._run(), name="probe")
        return await asyncio.shield(self._asked)

    def forget(self) -> None:
        """The kept outcome is doubtful: the next caller asks anew."""
        self._fresh_until = 0.0

    async def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.gather(self._asked, return_exceptions=True)

    async def _run(self) -> T:
        try:
            return await self._ask()
        finally:
            self._fresh_until = self._clock() + self._keep_s
