"""Queries of threads, and the search for those whose metadata holds something."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from runs.checkpoint_statements import delete_thread as delete_checkpoints
from runs.database import RunDatabase, Statement
from runs.metadata_index import (
    COUNT_THREADS,
    HAS_METADATA,
    LIST_PAIRS,
    THREADS_OF_PAIR,
    VERIFIED,
)
from runs.record import Thread, thread_key
from runs.retention_statements import delete_thread
from runs.rows import THREAD_COLUMNS, ThreadRow, insert_thread, json_text, load_thread

_PAGE = (
    f"SELECT {', '.join(f'threads.{column}' for column in ThreadRow._fields)} "
    "FROM ({}) AS page CROSS JOIN threads "
    "WHERE threads.tenant = ? AND threads.thread_id = page.thread_id"
)
"""The threads of a query of ids, in its order."""
_ALL = (
    "SELECT thread_id FROM threads WHERE tenant = ? "
    "ORDER BY updated_at DESC, thread_id LIMIT ? OFFSET ?"
)
_NAMED = (
    f"SELECT {THREAD_COLUMNS} FROM threads WHERE tenant = ? "
    f"AND thread_id IN (SELECT value FROM json_each(?)) AND {HAS_METADATA}"
)


class StoredThreads:
    """Reads and writes of threads."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database

    def create(self, thread: Thread, ttl_s: float | None = None) -> asyncio.Future[None]:
        """Store a new thread. The future raises `sqlite3.IntegrityError` where it exists."""
        expiry = Statement(
            "UPDATE threads SET ttl_s = ? WHERE tenant = ? AND thread_id = ?",
            (ttl_s, thread.tenant, thread.thread_id),
        )
        return self._database.write(insert_thread(thread), expiry)

    def save(self, thread: Thread) -> asyncio.Future[None]:
        return self._database.write(
            Statement(
                "UPDATE threads SET agent = ?, metadata = ?, updated_at = ? "
                "WHERE tenant = ? AND thread_id = ?",
                (
                    thread.agent,
                    json_text(thread.metadata),
                    thread.updated_at,
                    thread.tenant,
                    thread.thread_id,
                ),
            )
        )

    def find(self, thread_id: str, *, tenant: str) -> Thread | None:
        row = self._database.row(
            f"SELECT {THREAD_COLUMNS} FROM threads WHERE tenant = ? AND thread_id = ?",
            (tenant, thread_id),
        )
        return load_thread(row) if row else None

    async def list(
        self,
        *,
        tenant: str,
        metadata: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> list[Thread]:
        """List the tenant's threads that hold this metadata, most recently used first."""
        held = str(json_text(metadata or {}))
        if ids is not None:
            rows = await self._database.rows(_NAMED, (tenant, json_text(ids), held))
            named = sorted(map(load_thread, rows), key=lambda thread: thread.thread_id)
            named.sort(key=lambda thread: thread.updated_at, reverse=True)
            return named[offset : offset + limit]
        ids_query, parameters = await self._find(tenant, held) if metadata else (_ALL, (tenant,))
        rows = await self._database.rows(
            _PAGE.format(ids_query), (*parameters, limit, offset, tenant)
        )
        return [load_thread(row) for row in rows]

    def delete(self, thread_id: str, *, tenant: str) -> asyncio.Future[None]:
        """Delete the thread with its state, its runs and all that belongs to them."""
        return self._database.write(
            *delete_checkpoints(thread_key(tenant, thread_id)),
            *delete_thread(thread_id, tenant=tenant),
        )

    async def _find(self, tenant: str, metadata: str) -> tuple[str, tuple[str, ...]]:
        """Return a query of the threads that hold this metadata, with its first parameters.

        It follows the rarest pair of the metadata.
        """
        pairs = await self._database.rows(LIST_PAIRS, (metadata,))
        rarest, exact = pairs[0]
        if len(pairs) > 1:
            counts = [
                (await self._database.rows(COUNT_THREADS, (tenant, pair)))[0] for pair, _ in pairs
            ]
            rarest, exact = pairs[counts.index(min(counts))]
        if exact and len(pairs) == 1:
            return THREADS_OF_PAIR.format(""), (tenant, rarest)
        return THREADS_OF_PAIR.format(VERIFIED), (tenant, rarest, metadata)
