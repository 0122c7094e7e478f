"""Group commit, order, and what a broken write does to its neighbours."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.errors import Unavailable
from runs.database import RunDatabase, Statement, open_run_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[RunDatabase]:
    async with open_run_database(tmp_path / "runs.db") as database:
        await database.write(Statement("CREATE TABLE kept (id INTEGER PRIMARY KEY, text TEXT)"))
        yield database


def insert(id: int, text: str = "") -> Statement:
    return Statement("INSERT INTO kept VALUES (?, ?)", (id, text))


async def test_a_write_is_readable_when_its_future_ends(database: RunDatabase) -> None:
    await database.write(insert(1, "one"))
    assert database.row("SELECT text FROM kept WHERE id = 1") == ("one",)


async def test_writes_take_effect_in_the_order_of_the_calls(database: RunDatabase) -> None:
    writes = [insert(1)]
    writes += [Statement("UPDATE kept SET text = text || ? WHERE id = 1", (c,)) for c in "abcdef"]
    await asyncio.gather(*(database.write(write) for write in writes))
    assert database.row("SELECT text FROM kept") == ("abcdef",)


async def test_a_transaction_is_applied_whole_or_not_at_all(database: RunDatabase) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await database.write(insert(1), insert(2), insert(1))
    assert database.row("SELECT count(*) FROM kept") == (0,)


async def test_a_broken_write_does_not_fail_those_committed_with_it(database: RunDatabase) -> None:
    results = await asyncio.gather(
        *(database.write(insert(id)) for id in (1, 2, 2, 3)), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == [
        "NoneType",
        "NoneType",
        "IntegrityError",
        "NoneType",
    ]
    assert await database.rows("SELECT id FROM kept ORDER BY id") == [(1,), (2,), (3,)]


async def test_nothing_is_written_to_a_file_that_was_moved_away(
    database: RunDatabase, tmp_path: Path
) -> None:
    path, moved = tmp_path / "runs.db", tmp_path / "moved.db"
    path.rename(moved)

    with pytest.raises(Unavailable, match="was moved") as caught:
        await database.write(insert(1))
    assert caught.value.code == "run_storage_failed"

    moved.rename(path)
    await database.write(insert(2))
    assert await database.rows("SELECT id FROM kept") == [(2,)]


async def test_a_cancelled_waiter_does_not_take_its_write_back(database: RunDatabase) -> None:
    waiting = database.write(insert(1))
    waiting.cancel()
    await database.write(insert(2))
    assert database.row("SELECT count(*) FROM kept") == (2,)


async def test_closing_commits_what_is_queued(tmp_path: Path) -> None:
    async with open_run_database(tmp_path / "runs.db") as database:
        await database.write(Statement("CREATE TABLE kept (id INTEGER PRIMARY KEY, text TEXT)"))
        writes = [database.write(insert(id)) for id in range(2000)]
    await asyncio.gather(*writes)
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (2000,)
    connection.close()


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("power", 2)])
async def test_durability_chooses_whether_each_commit_is_synced(
    tmp_path: Path, durability: str, level: int
) -> None:
    async with open_run_database(tmp_path / "runs.db", durability) as database:  # type: ignore[arg-type]
        assert database._writing.execute("PRAGMA synchronous").fetchone() == (level,)
