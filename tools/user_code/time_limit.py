"""Bounds on the time of work, whose clock stands still while the work waits for its turn.

Owns which limits hold for the code that runs now: each is known to all tasks begun within it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

_LIMITS: ContextVar[tuple[TimeLimit, ...]] = ContextVar("time limits", default=())


class TimeLimit:
    """`asyncio.timeout` that can be paused; `async with` raises `TimeoutError` when it expires."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds
        self._timeout = asyncio.timeout(seconds)
        self._pauses = 0

    @property
    def expired(self) -> bool:
        """Whether the time is up: a `TimeoutError` is then the limit's own."""
        return self._timeout.expired()

    async def __aenter__(self) -> TimeLimit:
        await self._timeout.__aenter__()
        self._token = _LIMITS.set((*_LIMITS.get(), self))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _LIMITS.reset(self._token)
        self._pauses = 0
        await self._timeout.__aexit__(kind, error, traceback)

    def pause(self) -> None:
        """Stop the clock, until `resume` was called as often."""
        self._pauses += 1
        when_s = self._timeout.when()
        if self._pauses == 1 and when_s is not None and not self.expired:
            self._left_s = when_s - asyncio.get_running_loop().time()
            self._timeout.reschedule(None)

    def resume(self) -> None:
        """Let the clock run on."""
        if self._pauses == 0:
            return  # the limit has been left meanwhile
        self._pauses -= 1
        if self._pauses == 0 and not self.expired:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left_s)


@contextmanager
def limits_paused() -> Iterator[None]:
    """Stop the clocks of all limits that hold for the code that runs now."""
    limits = _LIMITS.get()
    for limit in limits:
        limit.pause()
    try:
        yield
    finally:
        for limit in limits:
            limit.resume()


def is_limit_expired() -> bool:
    """Return whether the time of the code that runs now is up."""
    return any(limit.expired for limit in _LIMITS.get())
