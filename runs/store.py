"""Queries of runs; those of events, threads, versions and webhooks have modules of their own.

Reads by key block for some 10 µs, scans are awaited. A write takes effect when its method is
called, in the order of the calls; its future ends with the commit and raises `Unavailable`
(`run_storage_failed`) when the disk does not take it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from config.errors import Conflict
from runs.database import RunDatabase, Statement, reading
from runs.deliveries import note_delivery
from runs.events import Batch, dumps
from runs.idempotency import FIND_KEY, IdempotencyKey, KeyedRun, KeyRow, key_of_run, note_key
from runs.outputs import read_output
from runs.pages import PAGE_BYTES, Page
from runs.parts.part_reader import PartReader, PartsMissingError
from runs.record import Run, RunRequest, RunStatus
from runs.rejections import run_not_found
from runs.retention_statements import delete_runs
from runs.rows import RUN_COLUMNS, insert_events, insert_run, load_run, touch_thread, update_run
from runs.saved_versions import SavedVersions
from runs.stored_events import StoredEvents
from runs.stored_threads import StoredThreads


class RunStore:
    """Reads and writes of runs, and of what belongs to them."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database
        self.events = StoredEvents(database)
        self.threads = StoredThreads(database)
        self.versions = SavedVersions(database)

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
        before: str | None = None,
    ) -> Page[Run]:
        """List the tenant's runs, newest first: at most `limit`, and about `PAGE_BYTES` of them.

        With `before`, those that are older than the run with that id. The page goes on before the
        run `next`.
        """
        columns = {"tenant": tenant, "agent": agent, "status": status, "thread_id": thread_id}
        narrowed = {column: value for column, value in columns.items() if value is not None}
        where = [f"{column} = ?" for column in narrowed]
        if before is not None:
            where.append("run_id < ?")
            narrowed["run_id"] = before
        # By name: the planner, which knows of no sizes, would take any index with as many columns.
        sql = (
            f"SELECT {RUN_COLUMNS} FROM runs INDEXED BY {_index_of(narrowed)} "
            f"WHERE {' AND '.join(where)} ORDER BY run_id DESC LIMIT ?"
        )
        runs, more = await self._database.read(
            partial(_read_page, sql, (*narrowed.values(), limit + 1), limit)
        )
        return Page(runs, runs[-1].run_id if more else None)

    async def read_output(self, run: Run) -> Run:
        """Read what of a run's output lies in parts; return the run, which has it then.

        Raises `NotFound` (`run_not_found`) where the run is deleted meanwhile.
        """
        if run.output is None and run.encoded_output:
            try:
                run.output = await self._database.read(partial(_read_output, run))
            except PartsMissingError:
                if self.find_run(run.run_id, tenant=run.tenant):
                    raise
                raise run_not_found(run.run_id) from None
        return run

    async def list_unended_runs(self) -> list[Run]:
        """List the runs of all tenants that neither ended nor wait for a person, oldest first."""
        rows = await self._database.rows(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE status IN ('queued', 'running')"
        )
        return sorted(map(load_run, rows), key=lambda run: (run.created_at, run.run_id))

    def find_waiting_run(self, thread_id: str, *, tenant: str) -> Run | None:
        """Return the run that waits for a person on this thread, the newest of several."""
        row = self._database.row(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant = ? AND thread_id = ? "
            "AND NOT own_thread AND status = 'waiting' ORDER BY run_id DESC LIMIT 1",
            (tenant, thread_id),
        )
        return load_run(row) if row else None

    def delete_run(self, run_id: str, *, tenant: str) -> asyncio.Future[None]:
        """Delete the run with its events, its idempotency key and its webhook."""
        self.events.forget(run_id)
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


def _index_of(narrowed: Mapping[str, Any]) -> str:
    """Return the index of runs that holds these columns, and the rest of a list in its order."""
    if "thread_id" in narrowed:
        return "runs_by_thread"
    names = [name for name in ("agent", "status") if name in narrowed]
    return "_".join(("runs_by", *(names or ["tenant"])))


def _read_page(
    sql: str, parameters: Sequence[Any], limit: int, reader: sqlite3.Connection
) -> tuple[list[Run], bool]:
    """Read runs up to a page's bytes; return them, and whether there are more."""
    runs: list[Run] = []
    size = 0
    with reading(reader), closing(reader.execute(sql, parameters)) as cursor:
        for row in cursor:
            if len(runs) == limit:
                return runs, True
            run = load_run(row)
            size += sum(len(value) for value in row if isinstance(value, str))
            if run.encoded_output:
                run.output = _read_output(run, reader)
                size += len(dumps(run.output))
            if runs and size > PAGE_BYTES:
                return runs, True
            runs.append(run)
    return runs, False


def _read_output(run: Run, reader: sqlite3.Connection) -> Any:
    assert run.encoded_output
    parts = PartReader(run.thread_key, JsonPlusSerializer()).on(reader)
    return read_output(run.encoded_output, parts)


def is_duplicate(error: BaseException) -> bool:
    """Return whether a write was refused because its key exists."""
    return isinstance(error, sqlite3.IntegrityError)
