"""What is written to a row is read from it, each value under its own name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from runs import schema
from runs.database import Statement
from runs.record import Run, Thread
from runs.rows import (
    RUN_COLUMNS,
    THREAD_COLUMNS,
    insert_run,
    insert_thread,
    load_run,
    load_thread,
    update_run,
)

RUN = Run(
    run_id="run",
    tenant="tenant",
    agent="agent",
    version="version",
    thread_id="thread",
    own_thread=False,
    status="waiting",
    attempt=2,
    input={"in": 1},
    created_at=1.5,
    open_attempts=2,
    checkpoint_id="checkpoint",
    resume={"answers": {"q": 1}},
    output={"out": 1},
    error={"code": "c"},
    interrupts=[{"id": "q"}],
    multitask="reject",
    webhook="http://hook.test/",
    metadata={"who": "me"},
    started_at=2.5,
    ended_at=3.5,
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for step in schema.STEPS.values():
            step(connection)
        yield connection


def stored_run(connection: sqlite3.Connection, *statements: Statement) -> Run:
    for statement in statements:
        statement.execute_on(connection)
    return load_run(connection.execute(f"SELECT {RUN_COLUMNS} FROM runs").fetchone())


def test_a_run_is_read_as_it_was_written(connection: sqlite3.Connection) -> None:
    assert stored_run(connection, insert_run(RUN)) == RUN


def test_an_update_writes_all_that_attempts_change(connection: sqlite3.Connection) -> None:
    changed = replace(
        RUN,
        status="failed",
        attempt=3,
        resume=None,
        output={"out": 2},
        error={"code": "d"},
        interrupts=[],
        started_at=4.5,
        ended_at=5.5,
    )

    assert stored_run(connection, insert_run(RUN), update_run(changed)) == changed


def test_a_thread_is_read_as_it_was_written(connection: sqlite3.Connection) -> None:
    thread = Thread(
        thread_id="thread",
        tenant="tenant",
        agent="agent",
        metadata={"who": "me"},
        created_at=1.5,
        updated_at=2.5,
    )

    insert_thread(thread).execute_on(connection)

    row = connection.execute(f"SELECT {THREAD_COLUMNS} FROM threads").fetchone()
    assert load_thread(row) == thread
