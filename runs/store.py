"""Queries of runs, their events and threads; webhooks' are `deliveries`'.

Reads by key block for some 10 µs, scans are awaited. A write takes effect when its method is
called, in the order of the calls; its future ends with the commit and raises `Unavailable`
(`run_storage_failed`) when the disk does not take it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import Conflict
from runs.database import RunDatabase, Statement
from runs.deliveries import note_delivery
from runs.events import Batch, load_batch
from runs.idempotency import FIND_KEY, IdempotencyKey, KeyedRun, KeyRow, key_of_run, note_key
from runs.pages import PAGE_BYTES, Page
from runs.record import Run, RunRequest, RunStatus, Thread
from runs.retention_statements import delete_runs, delete_thread
from runs.rows import (
    OF_RUN,
    RUN_COLUMNS,
    THREAD_COLUMNS,
    insert_events,
    insert_run,
    insert_thread,
    json_text,
    load_run,
    load_thread,
    touch_thread,
    update_run,
)
from runs.saved_versions import SavedVersions

HAS_METADATA = """
NOT EXISTS (
    SELECT 1 FROM json_each(?) AS required WHERE NOT EXISTS (
        SELECT 1 FROM json_each(json_patch(metadata, json_object('graph_id', agent))) AS own
        WHERE own.key = required.key AND own.type = required.type AND own.value IS required.value
    )
)
"""
"""A condition on `threads`: each pair of a JSON object stands in the thread's metadata, to which
its agent belongs as `graph_id`."""
RUN_SIZE = " + ".join(
    f"coalesce(length({column}), 0)"
    for column in ("input", "output", "error", "interrupts", "metadata")
)
"""About as many characters as a run has when it is shown."""
NEWEST_FIRST = "ORDER BY created_at DESC, run_id DESC"
EVENT_PAGE = 200
"""Stored batches that are read at once while a log is replayed."""


class RunStore:
    """Reads and writes of runs, events and threads."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database
        self.versions = SavedVersions(database)

    # runs

    def create_run(self, run: Run, batch: Batch, request: RunRequest) -> asyncio.Future[None]:
        """Store the run with the first events of its log, its thread and its idempotency key.

        The future raises `sqlite3.IntegrityError` where the idempotency key was used before.
        """
        statements = [insert_run(run), insert_events(run.run_id, batch)]
        if not run.own_thread:
            statements.append(touch_thread(run))
        if key := key_of_run(request):
            statements.append(note_key(key, run.run_id, 0, run.created_at))
        return self._database.write(*statements)

    def save_run(
        self, run: Run, batch: Batch | None = None, *more: Statement
    ) -> asyncio.Future[None]:
        """Store the run's present state and the events that report it, in one transaction.

        With the end of a run its webhook is noted too, so that a crash cannot lose the call.
        """
        statements = [update_run(run)]
        if batch:
            statements.append(insert_events(run.run_id, batch))
        if run.ended and run.webhook:
            statements.append(note_delivery(run))
        return self._database.write(*statements, *more)

    def find_run(self, run_id: str, *, tenant: str) -> Run | None:
        row = self._database.row(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE run_id = ? AND tenant = ?", (run_id, tenant)
        )
        return load_run(row) if row else None

    async def list_runs(
        self,
        *,
        tenant: str,
        agent: str | None = None,
        status: RunStatus | None = None,
        thread_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Run]:
        """List the tenant's runs, newest first: at most `limit`, and about `PAGE_BYTES` of them."""
        where, parameters = ["tenant = ?"], [tenant]
        for column, value in (("agent", agent), ("status", status), ("thread_id", thread_id)):
            if value is not None:
                where.append(f"{column} = ?")
                parameters.append(value)
        rows = await self._database.rows(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant = ? AND run_id IN ("
            f"SELECT run_id FROM (SELECT run_id, sum(size) OVER ({NEWEST_FIRST}) - size AS before "
            f"FROM (SELECT run_id, created_at, {RUN_SIZE} AS size FROM runs "
            f"WHERE {' AND '.join(where)} {NEWEST_FIRST} LIMIT ? OFFSET ?)) WHERE before < ?) "
            f"{NEWEST_FIRST}",
            (tenant, *parameters, limit, offset, PAGE_BYTES),
        )
        return [load_run(row) for row in rows]

    async def page_runs(
        self, *, tenant: str, limit: int, offset: int = 0, **narrowed: Any
    ) -> Page[Run]:
        """Return runs as `list_runs` does; the page goes on at the offset `next`."""
        runs = await self.list_runs(tenant=tenant, limit=limit, offset=offset, **narrowed)
        end = offset + len(runs)
        # A page that is cut short by its bytes looks like the last one.
        more = len(runs) == limit or await self.list_runs(
            tenant=tenant, limit=1, offset=end, **narrowed
        )
        return Page(runs, str(end) if runs and more else None)

    async def list_unended_runs(self) -> list[Run]:
        """List the runs of all tenants that neither ended nor wait for a person, oldest first."""
        rows = await self._database.rows(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE status IN ('queued', 'running') "
            "ORDER BY created_at, run_id"
        )
        return [load_run(row) for row in rows]

    def find_waiting_run(self, thread_id: str, *, tenant: str) -> Run | None:
        """Return the run that waits for a person on this thread, the newest of several."""
        row = self._database.row(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant = ? AND thread_id = ? "
            "AND NOT own_thread AND status = 'waiting' ORDER BY created_at DESC LIMIT 1",
            (tenant, thread_id),
        )
        return load_run(row) if row else None

    def delete_run(self, run_id: str, *, tenant: str) -> asyncio.Future[None]:
        """Delete the run with its events, its idempotency key and its webhook."""
        return self._database.write(*delete_runs([run_id], tenant=tenant))

    def find_run_of_key(self, key: IdempotencyKey) -> KeyedRun | None:
        """Return the run that this idempotency key began, or gave an answer.

        Raises `Conflict` (`idempotency_key_reused`) where it came with another request.
        """
        row = self._database.row(FIND_KEY, (key.tenant, key.key))
        if row is None:
            return None
        stored = KeyRow._make(row)
        if stored.request != key.digest:
            raise Conflict(
                f"Idempotency-Key '{key.key}' was used with another request.",
                code="idempotency_key_reused",
                details={"field": "Idempotency-Key"},
            )
        run = self.find_run(stored.run_id, tenant=key.tenant)
        return KeyedRun(run, stored.after) if run else None

    async def claim(self, run_id: str, step: str, *, tenant: str) -> bool:
        """Claim a step of a run; return whether it was the first claim. On disk on return."""
        # Where the run is not the tenant's the id is NULL, which the column refuses.
        own = "(SELECT run_id FROM runs WHERE run_id = ? AND tenant = ?)"
        try:
            await self._database.write(
                Statement(f"INSERT INTO claims VALUES ({own}, ?)", (run_id, tenant, step))
            )
        except sqlite3.IntegrityError:
            return False
        return True

    # events

    def append_events(self, run_id: str, batch: Batch, *more: Statement) -> asyncio.Future[None]:
        """Store events, which may be none, and `more` in one transaction."""
        events = [insert_events(run_id, batch)] if batch.events else []
        return self._database.write(*events, *more)

    async def read_events(
        self, run_id: str, after: int, limit: int = EVENT_PAGE, *, tenant: str
    ) -> list[Batch]:
        """Read stored batches with events behind `after`; the first is cut to begin there.

        Returns at least one where there are any, and no more than about `PAGE_BYTES`.
        """
        rows = await self._database.rows(
            "SELECT first, batch FROM (SELECT first, batch, "
            "sum(length(batch)) OVER (ORDER BY first) - length(batch) AS before "
            f"FROM events WHERE {OF_RUN} AND last > ? ORDER BY first LIMIT ?) WHERE before < ?",
            (run_id, tenant, after, limit, PAGE_BYTES),
        )
        # In a thread: a run may have stored very many at once.
        return await asyncio.to_thread(
            lambda: [load_batch(first, stored).after(after) for first, stored in rows]
        )

    def last_seq(self, run_id: str, *, tenant: str) -> int:
        """Return the number of the run's last stored event, 0 where it has none."""
        row = self._database.row(
            f"SELECT last FROM events WHERE {OF_RUN} ORDER BY first DESC LIMIT 1", (run_id, tenant)
        )
        if row is None:
            return 0
        (last,) = row
        return int(last)

    # threads

    def create_thread(self, thread: Thread, ttl_s: float | None = None) -> asyncio.Future[None]:
        """Store a new thread. The future raises `sqlite3.IntegrityError` where it exists."""
        expiry = Statement(
            "UPDATE threads SET ttl_s = ? WHERE tenant = ? AND thread_id = ?",
            (ttl_s, thread.tenant, thread.thread_id),
        )
        return self._database.write(insert_thread(thread), expiry)

    def save_thread(self, thread: Thread) -> asyncio.Future[None]:
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

    def find_thread(self, thread_id: str, *, tenant: str) -> Thread | None:
        row = self._database.row(
            f"SELECT {THREAD_COLUMNS} FROM threads WHERE tenant = ? AND thread_id = ?",
            (tenant, thread_id),
        )
        return load_thread(row) if row else None

    async def list_threads(
        self,
        *,
        tenant: str,
        metadata: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> list[Thread]:
        """List the tenant's threads that hold this metadata, most recently used first."""
        where, parameters = ["tenant = ?"], [tenant]
        if metadata:
            where.append(HAS_METADATA)
            parameters.append(str(json_text(metadata)))
        if ids is not None:
            where.append("thread_id IN (SELECT value FROM json_each(?))")
            parameters.append(str(json_text(ids)))
        rows = await self._database.rows(
            f"SELECT {THREAD_COLUMNS} FROM threads WHERE {' AND '.join(where)} "
            "ORDER BY updated_at DESC, thread_id LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        return [load_thread(row) for row in rows]

    def delete_thread(self, thread_id: str, *, tenant: str) -> asyncio.Future[None]:
        """Delete the thread with its runs and all that belongs to them; not its checkpoints."""
        return self._database.write(*delete_thread(thread_id, tenant=tenant))


def is_duplicate(error: BaseException) -> bool:
    """Return whether a write was refused because its key exists."""
    return isinstance(error, sqlite3.IntegrityError)
