"""Runs and threads as rows: one named tuple for each table, in the order of its columns."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import orjson

from runs.database import Statement
from runs.events import Batch, dumps
from runs.outputs import load_output
from runs.record import MultitaskStrategy, Run, RunStatus, Thread


class RunRow(NamedTuple):
    """A row of `runs`. What holds JSON is text here."""

    run_id: str
    tenant: str
    agent: str
    version: str
    thread_id: str
    own_thread: bool
    status: str
    attempt: int
    input: str
    created_at: float
    checkpoint_id: str | None
    resume: str | None
    output: str | None
    error: str | None
    interrupts: str | None
    multitask: str
    webhook: str | None
    metadata: str
    started_at: float | None
    ended_at: float | None
    open_attempts: int
    output_parts: str | None


class RunUpdate(NamedTuple):
    """The columns of `runs` that attempts change, and last those that find it."""

    status: str
    attempt: int
    resume: str | None
    output: str | None
    output_parts: str | None
    error: str | None
    interrupts: str | None
    started_at: float | None
    ended_at: float | None
    open_attempts: int
    run_id: str
    tenant: str


class ThreadRow(NamedTuple):
    """A row of `threads`; `metadata` is JSON."""

    thread_id: str
    tenant: str
    agent: str | None
    metadata: str
    created_at: float
    updated_at: float


def _insert(table: str, fields: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


RUN_COLUMNS, THREAD_COLUMNS = ", ".join(RunRow._fields), ", ".join(ThreadRow._fields)
"""In the order of the fields: what is selected by them becomes a row by `_make`."""

OF_RUN = "run_id = (SELECT run_id FROM runs WHERE run_id = ? AND tenant = ?)"
"""A condition on the tables that belong to runs: rows of a run, if it is the tenant's."""

_INSERT_RUN = _insert("runs", RunRow._fields)
_INSERT_THREAD = _insert("threads", ThreadRow._fields)
_INSERT_EVENTS = "INSERT INTO events (run_id, first, last, batch) VALUES (?, ?, ?, ?)"
_UPDATE_RUN = (
    f"UPDATE runs SET {' = ?, '.join(RunUpdate._fields[:-2])} = ? WHERE run_id = ? AND tenant = ?"
)
_TOUCH_THREAD = (
    f"{_INSERT_THREAD} ON CONFLICT (tenant, thread_id) DO UPDATE SET agent = excluded.agent, "
    "updated_at = excluded.updated_at"
)


def insert_run(run: Run) -> Statement:
    # By position, in the order of the fields: with names a row takes twice the time to build.
    row = RunRow(
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
        run.open_attempts,
        None,
    )
    return Statement(_INSERT_RUN, row)


def update_run(run: Run) -> Statement:
    """Write what an attempt may change; the rest of a run never does."""
    update = RunUpdate(
        run.status,
        run.attempt,
        json_text(run.resume),
        *_output_columns(run),
        json_text(run.error),
        json_text(run.interrupts or None),
        run.started_at,
        run.ended_at,
        run.open_attempts,
        run.run_id,
        run.tenant,
    )
    return Statement(_UPDATE_RUN, update)


def insert_events(run_id: str, batch: Batch) -> Statement:
    return Statement(_INSERT_EVENTS, (run_id, batch.first, batch.last, batch.stored()))


def insert_thread(thread: Thread) -> Statement:
    row = ThreadRow(
        thread_id=thread.thread_id,
        tenant=thread.tenant,
        agent=thread.agent,
        metadata=dumps(thread.metadata).decode(),
        created_at=thread.created_at,
        updated_at=thread.updated_at,
    )
    return Statement(_INSERT_THREAD, row)


def touch_thread(run: Run) -> Statement:
    """Note that the run uses its thread, which is made when it is missing."""
    row = ThreadRow(
        thread_id=run.thread_id,
        tenant=run.tenant,
        agent=run.agent,
        metadata="{}",
        created_at=run.created_at,
        updated_at=run.created_at,
    )
    return Statement(_TOUCH_THREAD, row)


def load_run(row: tuple[Any, ...]) -> Run:
    """Make the run of a row selected by `RUN_COLUMNS`."""
    stored = RunRow._make(row)
    in_parts = load_output(str(stored.output), stored.output_parts) if stored.output_parts else None
    return Run(
        run_id=stored.run_id,
        tenant=stored.tenant,
        agent=stored.agent,
        version=stored.version,
        thread_id=stored.thread_id,
        own_thread=bool(stored.own_thread),
        status=cast(RunStatus, stored.status),
        attempt=stored.attempt,
        input=load_json(stored.input),
        created_at=stored.created_at,
        checkpoint_id=stored.checkpoint_id,
        resume=load_json(stored.resume),
        output=None if in_parts else load_json(stored.output),
        encoded_output=in_parts,
        error=load_json(stored.error),
        interrupts=load_json(stored.interrupts) or [],
        multitask=cast(MultitaskStrategy, stored.multitask),
        webhook=stored.webhook,
        metadata=load_json(stored.metadata),
        started_at=stored.started_at,
        ended_at=stored.ended_at,
        open_attempts=stored.open_attempts,
    )


def _output_columns(run: Run) -> tuple[str | None, str | None]:
    encoded = run.encoded_output
    if encoded is None:
        return json_text(run.output), None
    return encoded.json.decode(), dumps(encoded.parts).decode() if encoded.parts else None


def load_thread(row: tuple[Any, ...]) -> Thread:
    """Make the thread of a row selected by `THREAD_COLUMNS`."""
    stored = ThreadRow._make(row)
    return Thread(
        thread_id=stored.thread_id,
        tenant=stored.tenant,
        agent=stored.agent,
        metadata=load_json(stored.metadata),
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


def json_text(value: Any) -> str | None:
    """Encode a value for a column that may be empty; None is NULL."""
    return None if value is None else dumps(value).decode()


def load_json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
