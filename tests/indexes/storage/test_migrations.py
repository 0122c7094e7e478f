"""A database of an earlier version is brought to the present one, whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from config.errors import Unavailable
from config.settings import load_settings
from indexes.service import open_indexes
from indexes.storage import migrations
from indexes.storage.schema import VERSION, connect, create
from indexes.storage.scrub import Scrubber
from tests.support.indexes import Models
from tests.support.tenants import TENANT

MADE_BY_1 = Path(__file__).parents[2] / "data" / "indexes-version-1.db"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "indexes").mkdir()
    shutil.copy(MADE_BY_1, tmp_path / "indexes" / "indexes.db")
    return tmp_path


async def test_what_version_1_made_is_searched_without_embedding_it_again(home: Path) -> None:
    models = Models()
    async with open_indexes(load_settings(home=home), models, tenant=TENANT) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        found = await indexes.search("notes", "bread rises", tenant=TENANT)
        assert [passage.source for passage in found] == ["kitchen.md", "garden.md"]
        assert set(models.embedder.seen) == {"bread rises"}
        for where in ({"author": "Ada"}, {"tags": "red"}, {"draft": False}, {"year": {"lt": 2022}}):
            found = await indexes.search("notes", "bread rises", where=where, tenant=TENANT)
            assert [passage.source for passage in found] == ["garden.md"]
        info = await notes.describe()
        assert (info.rerank, info.watch) == (None, False)
        assert await notes.get_threshold() is None


def columns(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in tables}


def indexes_of(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
    return dict(rows.fetchall())


@contextmanager
def connected(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(Scrubber(file)) as scrubber:
        with closing(connect(file, "process", scrubber)) as connection:
            yield connection


def test_a_migrated_database_has_the_tables_of_a_new_one(home: Path) -> None:
    with connected(home / "indexes" / "indexes.db") as migrated:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
            create(fresh)
            assert columns(migrated) == columns(fresh)
            assert indexes_of(migrated) == indexes_of(fresh)
        assert migrated.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "indexes" / "indexes.db"

    def fails(connection: sqlite3.Connection) -> None:
        migrations._migrate_to_2(connection)
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setitem(migrations.STEPS, 1, fails)
    with pytest.raises(Unavailable, match="disk full"):
        with connected(file):
            pass
    with closing(sqlite3.connect(file)) as left:
        assert left.execute("PRAGMA user_version").fetchone() == (1,)
        assert "fields" not in columns(left)


def test_a_newer_database_is_refused_and_left_alone(home: Path) -> None:
    file = home / "indexes" / "indexes.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(Unavailable) as caught:
        with connected(file):
            pass
    assert caught.value.code == "index_storage_version"
