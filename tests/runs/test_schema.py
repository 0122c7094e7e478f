"""The layout of runs.db: older ones are taken over in place, newer ones are left alone."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from config.errors import Unavailable
from runs import schema
from runs.database import open_run_database
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT

UNVERSIONED = Path(__file__).parents[1] / "data" / "runs-unversioned.db"
"""Made before versions were counted; holds a run of each status below."""
FINISHED = "01a22278-6962-7779-9e88-e837012437fe"
WAITING = "01a22278-697f-708d-9d4e-eb6264d89048"
RUNNING = "01a22278-6997-7124-9acb-812bdaf0df66"
THREAD = "0d8f3c8e-6f0a-4a50-9f0b-1d1f5f6f7a01"

LIBRARY = ("checkpoints", "writes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(UNVERSIONED, tmp_path / "runs.db"))


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def layout(file: Path) -> Sequence[Any]:
    rows = query(file, "SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name")
    return [(type_, name, sql.replace("IF NOT EXISTS ", "")) for type_, name, sql in rows]


def library_layout(file: Path) -> Sequence[Any]:
    return [each for each in layout(file) if each[1] in LIBRARY]


async def test_runs_of_an_unversioned_database_go_on_where_they_were(
    file: Path, tmp_path: Path
) -> None:
    async with EngineFactory(tmp_path, NodeGates()).engine() as engine:
        assert (await ended(engine, RUNNING)).output == {"x": 8, "log": ["a", "b", "c"]}
        await engine.resume(WAITING, "yes", tenant=TENANT)
        assert (await ended(engine, WAITING)).output["log"] == ["a", "answer:yes", "c"]
        events = await read_events(engine, FINISHED)

    assert [event["seq"] for event in events] == list(range(1, 9))
    assert query(file, "PRAGMA user_version") == [(schema.VERSION,)]


async def test_state_of_an_unversioned_databases_thread_is_read(file: Path, tmp_path: Path) -> None:
    process = EngineFactory(tmp_path, NodeGates())

    async with process.engine():
        state = await process.threads.get_state(THREAD, tenant=TENANT)

    assert state["values"] == {"x": 3, "log": ["a", "b", "c"]}


def test_an_unversioned_database_gets_the_layout_of_a_new_one(file: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"

    schema.prepare(fresh)
    schema.prepare(file)

    assert [each for each in layout(file) if each[1] not in LIBRARY] == layout(fresh)


def test_the_migration_changes_of_the_tables_of_langgraph_the_names_of_threads_alone(
    file: Path,
) -> None:
    selects = [f"SELECT * FROM {table} ORDER BY rowid" for table in LIBRARY]
    before, layout_before = [query(file, select) for select in selects], library_layout(file)

    schema.prepare(file)

    after = [query(file, select) for select in selects]
    assert all(before)
    own = {RUNNING, WAITING, FINISHED}
    for old, new in zip(chain(*before), chain(*after), strict=True):
        assert new[0] == f"default/{'run:' if old[0] in own else ''}{old[0]}"
        assert new[1:] == old[1:]
    assert library_layout(file) == layout_before


def test_a_thread_of_an_older_database_keeps_its_fields_and_gets_a_namesake(file: Path) -> None:
    schema.prepare(file)

    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO threads SELECT thread_id, 'other', NULL, '{}', 0, 0, NULL FROM threads"
        )

    rows = query(file, "SELECT thread_id, tenant, agent, ttl_s FROM threads ORDER BY tenant")
    assert rows[0] == (THREAD, "default", "three", None)
    assert rows[1] == (THREAD, "other", None, None)


async def test_a_newer_database_is_refused_and_left_as_it_is(file: Path) -> None:
    schema.prepare(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    content = file.read_bytes()

    with pytest.raises(Unavailable) as caught:
        async with open_run_database(file):
            pass

    assert caught.value.code == "run_storage_version"
    assert str(file) in caught.value.message
    assert "Start that version" in caught.value.message
    assert file.read_bytes() == content


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE events")
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(schema, "STEPS", {0: fail})

    with pytest.raises(sqlite3.OperationalError):
        schema.prepare(file)

    assert query(file, "PRAGMA user_version") == [(0,)]
    assert query(file, "SELECT count(*) FROM events") != [(0,)]
