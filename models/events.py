"""The log of what happens to models: numbered, so that readers miss nothing, or know it.

Kept in memory only. A reader follows from a number on; one that is too slow gets an event "gap".
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import islice
from typing import Any

MAX_EVENTS = 2000


class Events:
    """The last `max_events` events, and everyone who follows them.

    Numbers begin at `first`. Give one that grows from start to start: a reader that comes back
    after a restart then gets everything new, because nothing new has a number it knows.
    """

    def __init__(
        self, first: int = 1, max_events: int = MAX_EVENTS, clock: Callable[[], float] = time.time
    ) -> None:
        self._ring: deque[dict[str, Any]] = deque(maxlen=max_events)
        self._first = self._next = first
        self._clock = clock
        self._more: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._next - 1

    def add(self, event: str, **fields: Any) -> None:
        """Publish {"seq", "time", "event", ...fields}; JSON values only."""
        entry = {"seq": self._next, "time": round(self._clock(), 3), "event": event, **fields}
        self._next += 1
        self._ring.append(entry)
        self._wake()

    def follow(self, after: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """Follow the events after number `after`, or from now on, until the log is closed.

        A reader that asks for what is kept no longer, or reads too slowly, gets one event "gap"
        with `count`, and goes on with the oldest kept.
        """
        # Not before the first: a reader at a number that no event has would never be level.
        position = self.last if after is None else max(after, self._first - 1)
        return self._follow(min(position, self.last))

    def close(self) -> None:
        """End every reader after what it has not read yet."""
        self._closed = True
        self._wake()

    async def _follow(self, position: int) -> AsyncIterator[Mapping[str, Any]]:
        while True:
            for event in self._after(position):
                position = event["seq"]
                yield event
            if position == self.last:
                if self._closed:
                    return
                if self._more is None:
                    self._more = asyncio.get_running_loop().create_future()
                # One future for all readers: a reader that is cancelled must not cancel it.
                await asyncio.shield(self._more)

    def _after(self, position: int) -> list[Mapping[str, Any]]:
        oldest = self._next - len(self._ring)
        new: list[Mapping[str, Any]] = list(islice(self._ring, max(0, position + 1 - oldest), None))
        missed = oldest - 1 - position
        if missed > 0:
            gap = {"seq": oldest - 1, "time": new[0]["time"], "event": "gap", "count": missed}
            new.insert(0, gap)
        return new

    def _wake(self) -> None:
        if self._more and not self._more.done():
            self._more.set_result(None)
        self._more = None
