"""The tables of the indexes, and how a connection to them is opened.

Owns the schema, its version, and the settings of every connection: foreign keys, no remains of
deleted rows, no checkpoint but the `Scrubber`'s.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from config.errors import Unavailable
from config.migrations import migrate, read_version
from indexes.records import STORE_FAILED
from indexes.storage.migrations import STEPS
from indexes.storage.scrub import Scrubber

VERSION = 2
"""Raised with each change of the schema, together with a step in `migrations`."""

SCHEMA = """
CREATE TABLE spaces (                -- vectors of one tenant that can be compared with each other
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    UNIQUE (tenant, fingerprint)
);
CREATE TABLE vectors (               -- by what they were made from: nothing is embedded twice
    space INTEGER NOT NULL REFERENCES spaces ON DELETE CASCADE,
    hash BLOB NOT NULL,
    vector BLOB NOT NULL,
    excerpts BLOB NOT NULL DEFAULT x'',  -- see `excerpts.pack_excerpts`
    UNIQUE (space, hash)
);
CREATE TABLE indexes (
    id TEXT PRIMARY KEY,             -- random: names the folder of the derived index
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    space INTEGER REFERENCES spaces,
    last_change INTEGER NOT NULL DEFAULT 0,
    saved_change INTEGER NOT NULL DEFAULT 0,  -- older removals are forgotten
    calibration TEXT,                -- the threshold below which it says that it does not know
    UNIQUE (tenant, name)
);
CREATE TABLE embedders (             -- the model that makes the vectors of a space
    space INTEGER PRIMARY KEY REFERENCES spaces ON DELETE CASCADE,
    model TEXT NOT NULL
);
CREATE TABLE moves (                 -- indexes on their way to the vectors of another model
    index_id TEXT PRIMARY KEY REFERENCES indexes ON DELETE CASCADE,
    space INTEGER NOT NULL REFERENCES spaces
);
CREATE TABLE documents (
    key INTEGER PRIMARY KEY,
    index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
    id TEXT NOT NULL,
    origin TEXT NOT NULL,            -- the indexed folder, or '' for what was handed in
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    hash TEXT NOT NULL,
    bytes_hash TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,       -- 0: do not trust it, compare the bytes
    recipe TEXT NOT NULL,            -- how it was read and cut
    metadata TEXT NOT NULL,
    passages INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (index_id, id)
);
CREATE TABLE passages (
    index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
    number INTEGER NOT NULL,         -- the change that added it; its id in the derived index
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL,
    hash BLOB NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (index_id, number)
);
CREATE INDEX passages_of_document ON passages (document, ordinal, number);
CREATE INDEX passages_by_hash ON passages (hash);
CREATE TABLE fields (                -- metadata by which documents are chosen
    index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,              -- 'text', 'number' or 'boolean': they never equal each other
    value NOT NULL
);
CREATE INDEX fields_by_value ON fields (index_id, name, kind, value, document);
CREATE INDEX fields_of_document ON fields (document);
CREATE TABLE ingests (               -- accepted; a start resumes those that are left running
    id TEXT PRIMARY KEY,
    index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
    kind TEXT NOT NULL,              -- 'folder' or 'crawl'
    origin TEXT NOT NULL,
    state TEXT NOT NULL,             -- 'running', 'finished', 'failed' or 'cancelled'
    started_at REAL NOT NULL,
    files_done INTEGER NOT NULL DEFAULT 0,
    files_total INTEGER NOT NULL DEFAULT 0,
    error TEXT
);
CREATE INDEX ingests_of_index ON ingests (index_id, started_at);
CREATE TABLE removals (              -- what a derived index saved earlier must still forget
    index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
    number INTEGER NOT NULL,         -- the change that removed it
    passage INTEGER NOT NULL,        -- the number it had
    PRIMARY KEY (index_id, number)
) WITHOUT ROWID;
"""


BUSY_TIMEOUT_S = 60.0
"""How long a statement waits for another connection's transaction."""


def connect(
    path: Path, durability: Literal["process", "power"], scrubber: Scrubber
) -> sqlite3.Connection:
    """Open the database at `path`, created if it is missing and migrated if it is older.

    Raises `Unavailable` (`index_storage_failed`, `index_storage_version`).
    """
    try:
        connection = _open(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        # A process that was killed after a delete leaves the deleted text in the log.
        scrubber.checkpoint(connection)
        _prepare(connection, path, scrubber)
    except sqlite3.Error as error:
        raise Unavailable(
            f"The index database {path} cannot be opened: {error}. Free disk space or mend the "
            "data folder.",
            code=STORE_FAILED,
        ) from error
    return connection


def connect_again(path: Path) -> sqlite3.Connection:
    """Open another connection to a database that `connect` has prepared."""
    return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    # As a URI, so that what is attached to it can be opened for reading alone.
    connection = sqlite3.connect(
        path.absolute().as_uri(),
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys=ON")
    # What was deleted must not be found in the file's free pages.
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA wal_autocheckpoint=0")  # the `Scrubber` does
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, scrubber: Scrubber) -> None:
    version = read_version(connection)
    if version == 0:
        create(connection)
        return
    if version < VERSION:
        scrubber.scrub_file()  # version 1 was written without a scrubber
    if not migrate(connection, STEPS, VERSION):
        raise Unavailable(
            f"The index database {path} was made by another version of Motet (schema {version}, "
            f"this one reads up to {VERSION}).",
            code="index_storage_version",
        )


def create(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty database."""
    connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
