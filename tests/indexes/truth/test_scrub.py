"""What SQLite's own secure delete leaves in its file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from indexes.truth.schema import connect
from indexes.truth.scrub import SLICE_PAGES, scrub


def churn(connection: sqlite3.Connection, random: Random) -> None:
    """Rows of all sizes come and go, so that pages share them out again and again; the odd go
    in the end."""
    connection.execute("CREATE TABLE notes (key INTEGER PRIMARY KEY, word TEXT, text TEXT)")
    connection.execute("CREATE INDEX notes_word ON notes (word)")
    for _ in range(4000):
        key = random.randrange(600)
        word = f"{'odd' if key % 2 else 'even'}secret{key}."
        connection.execute("DELETE FROM notes WHERE key = ?", (key,))
        row = (key, word, word * random.choice((1, 10, 40, 400)))
        connection.execute("INSERT INTO notes VALUES (?, ?, ?)", row)
    connection.execute("DELETE FROM notes WHERE key % 2 = 1")


def test_no_word_of_a_deleted_row_is_left_and_every_other_row_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with closing(connect(path, "process")) as connection:
        file = os.open(path, os.O_RDWR)
        try:
            churn(connection, Random(1))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert b"oddsecret" in path.read_bytes(), "SQLite leaves nothing: scrub for nothing"
            rows = connection.execute("SELECT * FROM notes ORDER BY key").fetchall()
            first = 0
            while scrub(connection, file, first):
                first += SLICE_PAGES
            assert b"oddsecret" not in path.read_bytes()
            assert b"evensecret" in path.read_bytes()
            # What was kept in memory does not bring them back.
            connection.execute("UPDATE notes SET word = word || 'x'")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert b"oddsecret" not in path.read_bytes()
            found = connection.execute("SELECT * FROM notes ORDER BY key").fetchall()
            assert found == [(key, f"{word}x", text) for key, word, text in rows]
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            connection.close()
            os.close(file)
