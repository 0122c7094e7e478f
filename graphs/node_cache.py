"""Results of nodes that ask to be cached: in memory, with a lifetime and a bound in bytes.

Owns the entries of all runs; they last until the process ends. Keys and what is worth caching are
`graphs.compile.node_runner`'s. Invariant: room is made by the tenant that takes most of it, so no
tenant drives out what others use.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from langgraph.cache.base import BaseCache, FullKey, Namespace

MAX_BYTES = 128 * 2**20
"""Of all agents and tenants, as the results are stored."""
ENTRY_BYTES = 512
"""What an entry takes besides its result."""


class Entry(NamedTuple):
    """A result in its stored form, and the monotonic time until which it counts."""

    encoding: str
    data: bytes
    until: float | None

    @property
    def size_bytes(self) -> int:
        return len(self.data) + ENTRY_BYTES


class NodeCache(BaseCache[Any]):
    """LangGraph's cache protocol over the entries used last; its own in-memory one never shrinks.

    Lifetimes are in seconds. The second part of a key's namespace is its tenant. One event loop
    uses it: nothing here is locked.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._tenants: dict[str, OrderedDict[FullKey, Entry]] = {}
        self._used_bytes: dict[str, int] = {}

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        now, values = time.monotonic(), {}
        for key in keys:
            entries = self._tenants.get(_tenant_of(key), OrderedDict())
            if (entry := entries.get(key)) is None:
                continue
            if entry.until is not None and entry.until <= now:
                self._remove(key)
            else:
                entries.move_to_end(key)
                values[key] = self.serde.loads_typed((entry.encoding, entry.data))
        return values

    def set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        now = time.monotonic()
        for key, (value, ttl_s) in pairs.items():
            try:
                stored = self.serde.dumps_typed(value)
            except (TypeError, ValueError):
                continue  # a tool's object that has no stored form: it is made anew each time
            self._add(key, Entry(*stored, None if ttl_s is None else now + ttl_s))
        while sum(self._used_bytes.values()) > self._max_bytes:
            largest = max(self._used_bytes, key=self._used_bytes.__getitem__)
            self._remove(next(iter(self._tenants[largest])))

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        for key in [key for entries in self._tenants.values() for key in entries]:
            if namespaces is None or key[0] in namespaces:
                self._remove(key)

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        return self.get(keys)

    async def aset(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        self.set(pairs)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self.clear(namespaces)

    def _add(self, key: FullKey, entry: Entry) -> None:
        self._remove(key)
        tenant = _tenant_of(key)
        self._tenants.setdefault(tenant, OrderedDict())[key] = entry
        self._used_bytes[tenant] = self._used_bytes.get(tenant, 0) + entry.size_bytes

    def _remove(self, key: FullKey) -> None:
        tenant = _tenant_of(key)
        if (entry := self._tenants.get(tenant, OrderedDict()).pop(key, None)) is None:
            return
        self._used_bytes[tenant] -= entry.size_bytes
        if not self._tenants[tenant]:
            del self._tenants[tenant], self._used_bytes[tenant]


def _tenant_of(key: FullKey) -> str:
    return key[0][1] if len(key[0]) > 1 else ""
