"""Runs, their events and threads in the database; the only place that knows their tables."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from config.errors import Conflict
from runs.database import RunDatabase, Statement
from runs.events import Batch, load_batch
from runs.record import Run, RunRequest, RunStatus, Thread
from runs.rows import (
    HAS_METADATA,
    INSERT_RUN,
    RUN_COLUMNS,
    SCHEMA,
    THREAD_COLUMNS,
    UPDATE_RUN,
    insert_events,
    json_text,
    run_of,
    run_row,
    thread_of,
    thread_row,
    touch_thread,
)

EVENT_PAGE = 200
"""Stored batches read at once while a log is replayed."""


class RunStore:
    """Reads and writes of runs, events and threads; writes take effect in the order of calls."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database

    async def setup(self) -> None:
        """Make the tables where they are missing."""
        statements = [Statement(sql) for sql in SCHEMA.split(";") if sql.strip()]
        await self._database.write(*statements)

    # runs

    def create_run(self, run: Run, batch: Batch, request: RunRequest) -> asyncio.Future[None]:
        """Store the run with the first events of its log, its thread and its idempotency key.

        The future raises `sqlite3.IntegrityError` where the idempotency key was used before.
        """
        statements = [Statement(INSERT_RUN, run_row(run)), insert_events(run.run_id, batch)]
        if not run.own_thread:
            statements.append(touch_thread(run))
        if request.idempotency_key:
            statements.append(
                Statement(
                    "INSERT INTO idempotency VALUES (?, ?, ?, ?)",
                    (run.tenant, request.idempotency_key, run.run_id, fingerprint(request)),
                )
            )
        return self._database.write(*statements)

    def save_run(
        self, run: Run, batch: Batch | None = None, *more: Statement
    ) -> asyncio.Future[None]:
        """Store the run's present state, and the events that tell of it, in one transaction."""
        statements = [
            Statement(
                UPDATE_RUN,
                (
                    run.status,
                    run.attempt,
                    json_text(run.resume),
                    json_text(run.output),
                    json_text(run.error),
                    json_text(run.interrupts or None),
                    run.started_at,
                    run.ended_at,
                    run.run_id,
                ),
            )
        ]
        if batch:
            statements.append(insert_events(run.run_id, batch))
        if run.ended and run.webhook:
            statements.append(
                Statement(
                    "INSERT OR REPLACE INTO deliveries VALUES (?, ?)", (run.run_id, run.webhook)
                )
            )
        return self._database.write(*statements, *more)

    def find_run(self, run_id: str) -> Run | None:
        row = self._database.row(f"SELECT {RUN_COLUMNS} FROM runs WHERE run_id = ?", (run_id,))
        return run_of(row) if row else None

    async def list_runs(
        self,
        tenant: str,
        *,
        agent: str | None = None,
        status: RunStatus | None = None,
        thread_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Run]:
        """The tenant's runs, newest first."""
        where, parameters = ["tenant = ?"], [tenant]
        for column, value in (("agent", agent), ("status", status), ("thread_id", thread_id)):
            if value is not None:
                where.append(f"{column} = ?")
                parameters.append(value)
        rows = await self._database.rows(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE {' AND '.join(where)} "
            "ORDER BY created_at DESC, run_id DESC LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        return [run_of(row) for row in rows]

    async def list_unended_runs(self) -> list[Run]:
        """The runs that were accepted and neither ended nor wait for a person, oldest first."""
        rows = await self._database.rows(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE status IN ('queued', 'running') "
            "ORDER BY created_at, run_id"
        )
        return [run_of(row) for row in rows]

    def find_waiting_run(self, thread_id: str) -> Run | None:
        """The run that waits for a person on this thread."""
        row = self._database.row(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE thread_id = ? AND status = 'waiting' "
            "ORDER BY created_at DESC LIMIT 1",
            (thread_id,),
        )
        return run_of(row) if row else None

    def delete_run(self, run_id: str) -> asyncio.Future[None]:
        return self._database.write(
            *(
                Statement(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
                for table in ("runs", "events", "idempotency", "deliveries", "claims")
            )
        )

    def find_run_of_key(self, request: RunRequest) -> Run | None:
        """The run that this idempotency key made; `Conflict` where it made another request's."""
        row = self._database.row(
            "SELECT run_id, request FROM idempotency WHERE tenant = ? AND key = ?",
            (request.tenant, request.idempotency_key),
        )
        if row is None:
            return None
        if row[1] != fingerprint(request):
            raise Conflict(
                f"Idempotency-Key '{request.idempotency_key}' was used with another request.",
                code="idempotency_key_reused",
                details={"field": "Idempotency-Key"},
            )
        return self.find_run(row[0])

    async def claim(self, run_id: str, step: str) -> bool:
        """Whether a step of a run is claimed for the first time; on disk when this returns."""
        try:
            await self._database.write(
                Statement("INSERT INTO claims VALUES (?, ?)", (run_id, step))
            )
        except sqlite3.IntegrityError:
            return False
        return True

    # versions of agents

    def save_version(
        self, version: str, name: str, sources: Mapping[str, str]
    ) -> asyncio.Future[None]:
        """Keep the sources of an agent, so that its runs continue after the file has changed."""
        return self._database.write(
            Statement(
                "INSERT OR IGNORE INTO agent_versions VALUES (?, ?, ?)",
                (version, name, json_text(sources)),
            )
        )

    def find_sources(self, version: str) -> dict[str, str] | None:
        row = self._database.row("SELECT sources FROM agent_versions WHERE version = ?", (version,))
        return orjson.loads(row[0]) if row else None

    # events

    def append_events(self, run_id: str, batch: Batch, *more: Statement) -> asyncio.Future[None]:
        """Store events, which may be none, and what belongs to them, in one transaction."""
        events = [insert_events(run_id, batch)] if batch.events else []
        return self._database.write(*events, *more)

    async def read_events(self, run_id: str, after: int, limit: int = EVENT_PAGE) -> list[Batch]:
        """Stored batches whose last event lies behind `after`, the first one cut to fit."""
        rows = await self._database.rows(
            "SELECT first, batch FROM events WHERE run_id = ? AND last > ? ORDER BY first LIMIT ?",
            (run_id, after, limit),
        )
        return [load_batch(first, stored).after(after) for first, stored in rows]

    def last_seq(self, run_id: str) -> int:
        row = self._database.row(
            "SELECT last FROM events WHERE run_id = ? ORDER BY first DESC LIMIT 1", (run_id,)
        )
        return int(row[0]) if row else 0

    # threads

    def create_thread(self, thread: Thread) -> asyncio.Future[None]:
        """The future raises `sqlite3.IntegrityError` where the thread exists."""
        return self._database.write(
            Statement(
                f"INSERT INTO threads ({THREAD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
                thread_row(thread),
            )
        )

    def save_thread(self, thread: Thread) -> asyncio.Future[None]:
        return self._database.write(
            Statement(
                "UPDATE threads SET agent = ?, metadata = ?, updated_at = ? WHERE thread_id = ?",
                (thread.agent, json_text(thread.metadata), thread.updated_at, thread.thread_id),
            )
        )

    def find_thread(self, thread_id: str) -> Thread | None:
        row = self._database.row(
            f"SELECT {THREAD_COLUMNS} FROM threads WHERE thread_id = ?", (thread_id,)
        )
        return thread_of(row) if row else None

    async def list_threads(
        self,
        tenant: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> list[Thread]:
        """The tenant's threads that hold this metadata, most recently used first."""
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
        return [thread_of(row) for row in rows]

    def delete_thread(self, thread_id: str) -> asyncio.Future[None]:
        """Forget the thread with its runs and their events."""
        runs_of_thread = "run_id IN (SELECT run_id FROM runs WHERE thread_id = ?)"
        return self._database.write(
            *(
                Statement(f"DELETE FROM {table} WHERE {runs_of_thread}", (thread_id,))
                for table in ("events", "idempotency", "deliveries", "claims")
            ),
            Statement("DELETE FROM runs WHERE thread_id = ?", (thread_id,)),
            Statement("DELETE FROM threads WHERE thread_id = ?", (thread_id,)),
        )

    # webhooks

    async def list_deliveries(self) -> list[tuple[str, str]]:
        """(run, url) of every webhook that is still to be called."""
        return [(row[0], row[1]) for row in await self._database.rows("SELECT * FROM deliveries")]

    def end_delivery(self, run_id: str) -> asyncio.Future[None]:
        return self._database.write(Statement("DELETE FROM deliveries WHERE run_id = ?", (run_id,)))


def fingerprint(request: RunRequest) -> str:
    """What makes two requests the same one."""
    parts = [request.agent, request.input, request.thread_id, request.checkpoint_id]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def is_duplicate(error: BaseException) -> bool:
    return isinstance(error, sqlite3.IntegrityError)
