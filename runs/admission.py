"""Who may execute now: one run at a time on a thread, and a bounded number in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    members: int = 0


class KeyedLocks:
    """A lock for each key, fair in order of arrival, that exists while someone wants it."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def held(self, key: str) -> bool:
        return key in self._lines

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for this key's turn and keep it."""
        line = self._lines.setdefault(key, _Line())
        line.members += 1
        try:
            async with line.lock:
                yield
        finally:
            line.members -= 1
            if not line.members:
                self._lines.pop(key, None)


class Admission:
    """Turns in order of arrival, on each thread and over all of them."""

    def __init__(self, max_active: int) -> None:
        self._threads = KeyedLocks()
        self._capacity = asyncio.Semaphore(max_active)

    def must_wait(self, thread_id: str) -> bool:
        """Whether a run that came now would have to stand in line."""
        return self._threads.held(thread_id) or self._capacity.locked()

    @asynccontextmanager
    async def acquire(self, thread_id: str) -> AsyncIterator[None]:
        """Wait for this thread's turn and for capacity, then hold both."""
        async with self._threads.hold(thread_id), self._capacity:
            yield
