"""The tables of runs, events and threads, and how their rows are written and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from runs.database import Statement
from runs.events import Batch, dumps
from runs.record import Run, Thread

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
CREATE TABLE IF NOT EXISTS claims (
    run_id TEXT NOT NULL, step TEXT NOT NULL, PRIMARY KEY (run_id, step)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    run_id TEXT PRIMARY KEY, url TEXT NOT NULL
) WITHOUT ROWID;
"""

RUN_COLUMNS = (
    "run_id, tenant, agent, version, thread_id, own_thread, status, attempt, input, created_at, "
    "checkpoint_id, resume, output, error, interrupts, multitask, webhook, metadata, started_at, "
    "ended_at"
)
INSERT_RUN = f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({', '.join('?' * 20)})"
_INSERT_EVENTS = "INSERT INTO events (run_id, first, last, batch) VALUES (?, ?, ?, ?)"
UPDATE_RUN = (
    "UPDATE runs SET status = ?, attempt = ?, resume = ?, output = ?, error = ?, interrupts = ?, "
    "started_at = ?, ended_at = ? WHERE run_id = ?"
)
THREAD_COLUMNS = "thread_id, tenant, agent, metadata, created_at, updated_at"
HAS_METADATA = """
NOT EXISTS (
    SELECT 1 FROM json_each(?) AS wanted WHERE NOT EXISTS (
        SELECT 1 FROM json_each(json_patch(metadata, json_object('graph_id', agent))) AS held
        WHERE held.key = wanted.key AND held.type = wanted.type AND held.value IS wanted.value
    )
)
"""


def insert_events(run_id: str, batch: Batch) -> Statement:
    return Statement(_INSERT_EVENTS, (run_id, batch.first, batch.last, batch.stored()))


def touch_thread(run: Run) -> Statement:
    return Statement(
        f"INSERT INTO threads ({THREAD_COLUMNS}) VALUES (?, ?, ?, '{{}}', ?, ?) "
        "ON CONFLICT (thread_id) DO UPDATE SET agent = excluded.agent, "
        "updated_at = excluded.updated_at",
        (run.thread_id, run.tenant, run.agent, run.created_at, run.created_at),
    )


def json_text(value: Any) -> str | None:
    return None if value is None else dumps(value).decode()


def loads(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def run_row(run: Run) -> Sequence[Any]:
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
        json_text(run.resume),
        json_text(run.output),
        json_text(run.error),
        json_text(run.interrupts or None),
        run.multitask,
        run.webhook,
        dumps(run.metadata).decode(),
        run.started_at,
        run.ended_at,
    )


def run_of(row: Sequence[Any]) -> Run:
    return Run(
        run_id=row[0],
        tenant=row[1],
        agent=row[2],
        version=row[3],
        thread_id=row[4],
        own_thread=bool(row[5]),
        status=row[6],
        attempt=row[7],
        input=loads(row[8]),
        created_at=row[9],
        checkpoint_id=row[10],
        resume=loads(row[11]),
        output=loads(row[12]),
        error=loads(row[13]),
        interrupts=loads(row[14]) or [],
        multitask=row[15],
        webhook=row[16],
        metadata=loads(row[17]),
        started_at=row[18],
        ended_at=row[19],
    )


def thread_row(thread: Thread) -> Sequence[Any]:
    return (
        thread.thread_id,
        thread.tenant,
        thread.agent,
        json_text(thread.metadata),
        thread.created_at,
        thread.updated_at,
    )


def thread_of(row: Sequence[Any]) -> Thread:
    return Thread(
        thread_id=row[0],
        tenant=row[1],
        agent=row[2],
        metadata=loads(row[3]),
        created_at=row[4],
        updated_at=row[5],
    )
