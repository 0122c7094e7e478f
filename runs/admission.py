"""Turns to execute: one run at a time on a thread, and a bounded number in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from config.turns import FairSemaphore


@dataclass(slots=True)
class _CountedLock:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    """Its holder and those who wait for it."""


class KeyedLocks:
    """A lock for each key, fair in order of arrival; it exists while somebody uses it."""

    def __init__(self) -> None:
        self._locks: dict[str, _CountedLock] = {}

    def is_held(self, key: str) -> bool:
        return key in self._locks

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for this key's lock and hold it. Not reentrant."""
        counted = self._locks.setdefault(key, _CountedLock())
        counted.users += 1
        try:
            async with counted.lock:
                yield
        finally:
            # Counted from before the wait, so that nobody makes a second lock for the key.
            counted.users -= 1
            if not counted.users:
                self._locks.pop(key, None)


class Admission:
    """Turns in order of arrival, on each thread, by its key, and tenant by tenant over all."""

    def __init__(self, max_active: int, max_active_per_tenant: int | None = None) -> None:
        self.max_active = max_active
        self._threads = KeyedLocks()
        self._alone = asyncio.Lock()
        self._capacity = FairSemaphore(max_active, max_active_per_tenant)

    def must_wait(self, key: str, tenant: str) -> bool:
        """Return whether a run that came now would be queued."""
        return self._threads.is_held(key) or self._capacity.must_wait(tenant)

    @asynccontextmanager
    async def acquire(self, key: str, tenant: str, *, alone: bool = False) -> AsyncIterator[None]:
        """Wait for the thread's turn and then for capacity, and hold both.

        In this order a run that waits for its thread takes no capacity from others. Of the runs
        that come `alone` one at a time has its turn.
        """
        line: AbstractAsyncContextManager[Any] = self._alone if alone else nullcontext()
        async with self._threads.hold(key), line, self._capacity.hold(tenant):
            yield
