"""Runs, their events and threads in the database; the only place that knows their tables."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from config.errors import Conflict
from runs.database import Database, Statement
from runs.events import Batch, dumps, load_batch
from runs.record import Run, RunRequest, RunStatus, Thread

SCHEMA = """
CREATE TABLE IF NOT EXISTS agent_versions (
    version TEXT PRIMARY KEY, name TEXT NOT NULL, sources TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS threads (
    thread_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, agent TEXT, metadata TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, agent TEXT NOT NULL, version TEXT NOT NULL,
    thread_id TEXT NOT NULL, own_thread INTEGER NOT NULL, status TEXT NOT NULL,
    attempt INTEGER NOT NULL, input TEXT NOT NULL, created_at REAL NOT NULL, checkpoint_id TEXT,
    resume TEXT, output TEXT, error TEXT, interrupts TEXT, multitask TEXT NOT NULL, webhook TEXT,
    metadata TEXT NOT NULL, started_at REAL, ended_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_status ON runs (status, created_at);
CREATE INDEX IF NOT EXISTS runs_by_thread ON runs (thread_id, created_at);
CREATE TABLE IF NOT EXISTS idempotency (
    tenant TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL, request TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    run_id TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, batch BLOB NOT NULL,
    PRIMARY KEY (run_id, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    run_id TEXT PRIMARY KEY, url TEXT NOT NULL
) WITHOUT ROWID;
"""

_COLUMNS = (
    "run_id, tenant, agent, version, thread_id, own_thread, status, attempt, input, created_at, "
    "checkpoint_id, resume, output, error, interrupts, multitask, webhook, metadata, started_at, "
    "ended_at"
)
_INSERT_RUN = f"INSERT INTO runs ({_COLUMNS}) VALUES ({', '.join('?' * 20)})"
_INSERT_EVENTS = "INSERT INTO events (run_id, first, last, batch) VALUES (?, ?, ?, ?)"
_UPDATE_RUN = (
    "UPDATE runs SET status = ?, attempt = ?, resume = ?, output = ?, error = ?, interrupts = ?, "
    "started_at = ?, ended_at = ? WHERE run_id = ?"
)
_THREAD_COLUMNS = "thread_id, tenant, agent, metadata, created_at, updated_at"
_HAS_METADATA = """
NOT EXISTS (
    SELECT 1 FROM json_each(?) AS wanted WHERE NOT EXISTS (
        SELECT 1 FROM json_each(json_patch(metadata, json_object('graph_id', agent))) AS held
        WHERE held.key = wanted.key AND held.type = wanted.type AND held.value IS wanted.value
    )
)
"""
EVENT_PAGE = 200
"""Stored batches read at once while a log is replayed."""


class RunStore:
    """Reads and writes of runs, events and threads; writes take effect in the order of calls."""

    def __init__(self, database: Database) -> None:
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
        statements = [Statement(_INSERT_RUN, _run_row(run)), _insert_events(run.run_id, batch)]
        if not run.own_thread:
            statements.append(_touch_thread(run))
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
                _UPDATE_RUN,
                (
                    run.status,
                    run.attempt,
                    _json(run.resume),
                    _json(run.output),
                    _json(run.error),
                    _json(run.interrupts or None),
                    run.started_at,
                    run.ended_at,
                    run.run_id,
                ),
            )
        ]
        if batch:
            statements.append(_insert_events(run.run_id, batch))
        if run.ended and run.webhook:
            statements.append(
                Statement(
                    "INSERT OR REPLACE INTO deliveries VALUES (?, ?)", (run.run_id, run.webhook)
                )
            )
        return self._database.write(*statements, *more)

    def run(self, run_id: str) -> Run | None:
        row = self._database.row(f"SELECT {_COLUMNS} FROM runs WHERE run_id = ?", (run_id,))
        return _run(row) if row else None

    async def runs(
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
            f"SELECT {_COLUMNS} FROM runs WHERE {' AND '.join(where)} "
            "ORDER BY created_at DESC, run_id DESC LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        return [_run(row) for row in rows]

    async def unended_runs(self) -> list[Run]:
        """The runs that were accepted and neither ended nor wait for a person, oldest first."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM runs WHERE status IN ('queued', 'running') "
            "ORDER BY created_at, run_id"
        )
        return [_run(row) for row in rows]

    def waiting_run(self, thread_id: str) -> Run | None:
        """The run that waits for a person on this thread."""
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM runs WHERE thread_id = ? AND status = 'waiting' "
            "ORDER BY created_at DESC LIMIT 1",
            (thread_id,),
        )
        return _run(row) if row else None

    def delete_run(self, run_id: str) -> asyncio.Future[None]:
        return self._database.write(
            *(
                Statement(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
                for table in ("runs", "events", "idempotency", "deliveries")
            )
        )

    def run_of_key(self, request: RunRequest) -> Run | None:
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
        return self.run(row[0])

    # versions of agents

    def save_version(
        self, version: str, name: str, sources: Mapping[str, str]
    ) -> asyncio.Future[None]:
        """Keep the sources of an agent, so that its runs continue after the file has changed."""
        return self._database.write(
            Statement(
                "INSERT OR IGNORE INTO agent_versions VALUES (?, ?, ?)",
                (version, name, _json(sources)),
            )
        )

    def sources(self, version: str) -> dict[str, str] | None:
        row = self._database.row("SELECT sources FROM agent_versions WHERE version = ?", (version,))
        return orjson.loads(row[0]) if row else None

    # events

    def append_events(self, run_id: str, batch: Batch) -> asyncio.Future[None]:
        return self._database.write(_insert_events(run_id, batch))

    async def events(self, run_id: str, after: int, limit: int = EVENT_PAGE) -> list[Batch]:
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
                f"INSERT INTO threads ({_THREAD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
                _thread_row(thread),
            )
        )

    def save_thread(self, thread: Thread) -> asyncio.Future[None]:
        return self._database.write(
            Statement(
                "UPDATE threads SET agent = ?, metadata = ?, updated_at = ? WHERE thread_id = ?",
                (thread.agent, _json(thread.metadata), thread.updated_at, thread.thread_id),
            )
        )

    def thread(self, thread_id: str) -> Thread | None:
        row = self._database.row(
            f"SELECT {_THREAD_COLUMNS} FROM threads WHERE thread_id = ?", (thread_id,)
        )
        return _thread(row) if row else None

    async def threads(
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
            where.append(_HAS_METADATA)
            parameters.append(str(_json(metadata)))
        if ids is not None:
            where.append("thread_id IN (SELECT value FROM json_each(?))")
            parameters.append(str(_json(ids)))
        rows = await self._database.rows(
            f"SELECT {_THREAD_COLUMNS} FROM threads WHERE {' AND '.join(where)} "
            "ORDER BY updated_at DESC, thread_id LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        return [_thread(row) for row in rows]

    def delete_thread(self, thread_id: str) -> asyncio.Future[None]:
        """Forget the thread with its runs and their events."""
        runs_of_thread = "run_id IN (SELECT run_id FROM runs WHERE thread_id = ?)"
        return self._database.write(
            *(
                Statement(f"DELETE FROM {table} WHERE {runs_of_thread}", (thread_id,))
                for table in ("events", "idempotency", "deliveries")
            ),
            Statement("DELETE FROM runs WHERE thread_id = ?", (thread_id,)),
            Statement("DELETE FROM threads WHERE thread_id = ?", (thread_id,)),
        )

    # webhooks

    async def deliveries(self) -> list[tuple[str, str]]:
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


def _insert_events(run_id: str, batch: Batch) -> Statement:
    return Statement(_INSERT_EVENTS, (run_id, batch.first, batch.last, batch.stored()))


def _touch_thread(run: Run) -> Statement:
    return Statement(
        f"INSERT INTO threads ({_THREAD_COLUMNS}) VALUES (?, ?, ?, '{{}}', ?, ?) "
        "ON CONFLICT (thread_id) DO UPDATE SET agent = excluded.agent, "
        "updated_at = excluded.updated_at",
        (run.thread_id, run.tenant, run.agent, run.created_at, run.created_at),
    )


def _json(value: Any) -> str | None:
    return None if value is None else dumps(value).decode()


def _loads(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _run_row(run: Run) -> Sequence[Any]:
    return (
        run.run_id,
        run.tenant,
        run.agent,
        run.version,
        run.thread_id,
        run.own_thread,
        run.status,
        run.attempt,
        dumps(run.input).decode(),
        run.created_at,
        run.checkpoint_id,
        _json(run.resume),
        _json(run.output),
        _json(run.error),
        _json(run.interrupts or None),
        run.multitask,
        run.webhook,
        dumps(run.metadata).decode(),
        run.started_at,
        run.ended_at,
    )


def _run(row: Sequence[Any]) -> Run:
    return Run(
        run_id=row[0],
        tenant=row[1],
        agent=row[2],
        version=row[3],
        thread_id=row[4],
        own_thread=bool(row[5]),
        status=row[6],
        attempt=row[7],
        input=_loads(row[8]),
        created_at=row[9],
        checkpoint_id=row[10],
        resume=_loads(row[11]),
        output=_loads(row[12]),
        error=_loads(row[13]),
        interrupts=_loads(row[14]) or [],
        multitask=row[15],
        webhook=row[16],
        metadata=_loads(row[17]),
        started_at=row[18],
        ended_at=row[19],
    )


def _thread_row(thread: Thread) -> Sequence[Any]:
    return (
        thread.thread_id,
        thread.tenant,
        thread.agent,
        _json(thread.metadata),
        thread.created_at,
        thread.updated_at,
    )


def _thread(row: Sequence[Any]) -> Thread:
    return Thread(
        thread_id=row[0],
        tenant=row[1],
        agent=row[2],
        metadata=_loads(row[3]),
        created_at=row[4],
        updated_at=row[5],
    )
