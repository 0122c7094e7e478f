"""When time alone changes something, for each of many names: the next moment without a look at all.

Owns the order of moments. Setting one takes the logarithm of how many there are.
"""

from __future__ import annotations

import heapq

SPARE_ENTRIES = 64
"""So many moments that were replaced may lie in the heap beside as many as are valid."""


class WakeTimes:
    """The next moment of each name, in seconds by the scheduler's clock."""

    def __init__(self) -> None:
        self._at_s: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        """Holds replaced moments too, until they come first or are too many."""

    def set(self, name: str, at_s: float | None) -> None:
        """Set or replace the moment of a name; None where it waits for none."""
        if at_s is None:
            self._at_s.pop(name, None)
        elif self._at_s.get(name) != at_s:
            self._at_s[name] = at_s
            heapq.heappush(self._heap, (at_s, name))
        if len(self._heap) > 2 * len(self._at_s) + SPARE_ENTRIES:
            self._heap = [(at_s, name) for name, at_s in self._at_s.items()]
            heapq.heapify(self._heap)

    def next_s(self) -> float | None:
        """Return the earliest moment; None without any."""
        self._drop_replaced()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_s: float) -> list[str]:
        """Return the names whose moment has come; they wait for none any more."""
        due = []
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            _, name = heapq.heappop(self._heap)
            del self._at_s[name]
            due.append(name)
        return due

    def _drop_replaced(self) -> None:
        while self._heap and self._at_s.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
