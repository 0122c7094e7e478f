"""Results of nodes that ask to be cached: in memory, with a lifetime and a bound.

Owns the entries of all runs; they last until the process ends. Keys and what is worth caching are
`graphs.compile.node_runner`'s.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.cache.base import BaseCache, FullKey, Namespace

MAX_ENTRIES = 2_000
"""Of all agents and tenants."""


class NodeCache(BaseCache[Any]):
    """LangGraph's cache protocol over the entries used last; its own in-memory one never shrinks.

    Lifetimes are in seconds. One event loop uses it: nothing here is locked.
    """

    def __init__(self, entries: int = MAX_ENTRIES) -> None:
        super().__init__()
        self._bound = entries
        self._entries: OrderedDict[FullKey, tuple[Any, float | None]] = OrderedDict()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        now, values = time.monotonic(), {}
        for key in keys:
            if key in self._entries:
                value, until = self._entries[key]
                if until is not None and until <= now:
                    del self._entries[key]
                else:
                    self._entries.move_to_end(key)
                    values[key] = value
        return values

    def set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        now = time.monotonic()
        for key, (value, ttl_s) in pairs.items():
            self._entries[key] = (value, None if ttl_s is None else now + ttl_s)
            self._entries.move_to_end(key)
        while len(self._entries) > self._bound:
            self._entries.popitem(last=False)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        if namespaces is None:
            self._entries.clear()
        for namespace in namespaces or ():
            for key in [key for key in self._entries if key[0] == namespace]:
                del self._entries[key]

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        return self.get(keys)

    async def aset(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        self.set(pairs)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self.clear(namespaces)
