"""What SQLite's own secure delete leaves in its file."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from config.file_identity import FileIdentity
from indexes.storage.database import IndexDatabase
from indexes.storage.schema import connect, connect_again
from indexes.storage.scrub import Scrubber

BOUND_S = 120
MADE_BY_1 = Path(__file__).parents[2] / "data" / "indexes-version-1.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def scrubber(path: Path) -> Iterator[Scrubber]:
    with closing(Scrubber(path)) as scrubber:
        yield scrubber


@pytest.fixture
def connection(path: Path, scrubber: Scrubber) -> Iterator[sqlite3.Connection]:
    with closing(connect(path, "process", scrubber)) as connection:
        lay_out(connection)
        yield connection


def lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE notes (key INTEGER PRIMARY KEY, word TEXT, text TEXT)")
    connection.execute("CREATE INDEX notes_word ON notes (word)")


def churn(connection: sqlite3.Connection, random: Random) -> None:
    """Rows of all sizes come and go, so that pages share them out again and again; the odd go
    in the end."""
    for _ in range(4000):
        key = random.randrange(600)
        word = f"{'odd' if key % 2 else 'even'}secret{key}."
        connection.execute("DELETE FROM notes WHERE key = ?", (key,))
        row = (key, word, word * random.choice((1, 10, 40, 400)))
        connection.execute("INSERT INTO notes VALUES (?, ?, ?)", row)
    connection.execute("DELETE FROM notes WHERE key % 2 = 1")


def remains(path: Path) -> list[str]:
    files = path.parent.glob(f"{path.name}*")
    return [file.name for file in files if b"oddsecret" in file.read_bytes()]


def test_sqlite_alone_leaves_copies_of_deleted_rows(
    connection: sqlite3.Connection, path: Path
) -> None:
    churn(connection, Random(1))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert remains(path) == [path.name], "SQLite leaves nothing: scrub for nothing"


@pytest.mark.parametrize("way", ["once", "often", "afterwards"])
def test_no_word_of_a_deleted_row_is_left_and_every_other_row_is(
    connection: sqlite3.Connection, scrubber: Scrubber, path: Path, way: str
) -> None:
    random = Random(1)
    churn(connection, random)
    if way == "often":
        for _ in range(10):
            assert scrubber.checkpoint(connection)
            assert remains(path) == []
            churn(connection, random)
    if way == "afterwards":
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        scrubber.scrub_file()
    rows = connection.execute("SELECT * FROM notes ORDER BY key").fetchall()
    assert scrubber.checkpoint(connection)
    assert remains(path) == []
    assert b"evensecret" in path.read_bytes()
    # What was kept in memory does not bring them back.
    connection.execute("UPDATE notes SET word = word || 'x'")
    assert scrubber.checkpoint(connection)
    assert remains(path) == []
    found = connection.execute("SELECT * FROM notes ORDER BY key").fetchall()
    assert found == [(key, f"{word}x", text) for key, word, text in rows]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_deleted_rows_leave_the_file_once_the_reader_that_sees_them_ends(
    connection: sqlite3.Connection, scrubber: Scrubber, path: Path
) -> None:
    churn(connection, Random(2))
    with closing(connect_again(path)) as reader:
        reader.execute("BEGIN")
        count = "SELECT count(*), sum(length(text)) FROM notes"
        seen = reader.execute(count).fetchone()
        churn(connection, Random(3))
        assert not scrubber.checkpoint(connection)
        assert reader.execute(count).fetchone() == seen
        reader.execute("COMMIT")
        assert scrubber.checkpoint(connection)
    assert remains(path) == []


def test_while_another_thread_commits_the_log_is_left_as_it_is(
    connection: sqlite3.Connection, scrubber: Scrubber, path: Path
) -> None:
    churn(connection, Random(4))
    begun, done = threading.Event(), threading.Event()

    def commit() -> None:
        beside = IndexDatabase(connect_again(path), FileIdentity(path), scrubber.write_lock)
        with closing(beside) as database:
            with database.transaction() as other:
                other.execute("DELETE FROM notes WHERE key = 2")
                begun.set()
                done.wait(BOUND_S)

    thread = threading.Thread(target=commit)
    thread.start()
    assert begun.wait(BOUND_S)
    assert not scrubber.checkpoint(connection)
    done.set()
    thread.join(BOUND_S)
    assert scrubber.checkpoint(connection)
    assert remains(path) == []


def test_a_file_of_an_earlier_version_is_scrubbed_when_it_is_opened(path: Path) -> None:
    shutil.copy(MADE_BY_1, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as earlier:
        earlier.execute("PRAGMA secure_delete=ON")
        earlier.execute("PRAGMA synchronous=OFF")  # each of its thousands of commits would wait
        lay_out(earlier)
        churn(earlier, Random(5))
    assert remains(path)
    with closing(Scrubber(path)) as scrubber, closing(connect(path, "process", scrubber)):
        assert remains(path) == []
