"""What happens to models, numbered: readers miss nothing and see nothing twice."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import islice
from typing import Any

KEPT = 2000


class Events:
    """The last `kept` events, and everyone who follows them.

    Numbers begin at `first`. Give one that grows from start to start: a reader that comes back
    after a restart then gets everything new, because nothing new has a number it knows.
    """

    def __init__(
        self, first: int = 1, kept: int = KEPT, clock: Callable[[], float] = time.time
    ) -> None:
        self._ring: deque[dict[str, Any]] = deque(maxlen=kept)
        self._first = self._next = first
        self._clock = clock
        self._more: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._next - 1

    def add(self, event: str, **fields: Any) -> None:
        """Tell everyone: {"seq", "time", "event", ...fields}, JSON values only."""
        told = {"seq": self._next, "time": round(self._clock(), 3), "event": event, **fields}
        self._next += 1
        self._ring.append(told)
        self._wake()

    def follow(self, after: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """Events from number `after` on, or from now on; ends when the log is closed.

        A reader that asks for what is kept no longer, or reads too slowly, is told so by one
        event "gap" with `count`, and goes on with the oldest kept.
        """
        # Not before the first: a reader at a number that no event has would never be level.
        seen = self.last if after is None else max(after, self._first - 1)
        return self._follow(min(seen, self.last))

    def close(self) -> None:
        """Let every reader end after what it has not read yet."""
        self._closed = True
        self._wake()

    async def _follow(self, seen: int) -> AsyncIterator[Mapping[str, Any]]:
        while True:
            for event in self._after(seen):
                seen = event["seq"]
                yield event
            if seen == self.last:
                if self._closed:
                    return
                if self._more is None:
                    self._more = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._more)

    def _after(self, seen: int) -> list[Mapping[str, Any]]:
        oldest = self._next - len(self._ring)
        new: list[Mapping[str, Any]] = list(islice(self._ring, max(0, seen + 1 - oldest), None))
        lost = oldest - 1 - seen
        if lost > 0:
            gap = {"seq": oldest - 1, "time": new[0]["time"], "event": "gap", "count": lost}
            new.insert(0, gap)
        return new

    def _wake(self) -> None:
        if self._more and not self._more.done():
            self._more.set_result(None)
        self._more = None
