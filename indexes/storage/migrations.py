"""Brings databases of earlier versions to the present one, in place.

Owns one step for each version. A step holds its own SQL: the schema of that time is not ours.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from indexes.storage.fields import add_fields

_TO_VERSION_2 = (
    "ALTER TABLE indexes ADD COLUMN calibration TEXT",
    "DROP INDEX passages_of_document",
    "CREATE INDEX passages_of_document ON passages (document, ordinal, number)",
    "ALTER TABLE vectors ADD COLUMN excerpts BLOB NOT NULL DEFAULT x''",
    """CREATE TABLE fields (
        index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
        document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        name TEXT NOT NULL, kind TEXT NOT NULL, value NOT NULL)""",
    "CREATE INDEX fields_by_value ON fields (index_id, name, kind, value, document)",
    "CREATE INDEX fields_of_document ON fields (document)",
    """CREATE TABLE ingests (
        id TEXT PRIMARY KEY,
        index_id TEXT NOT NULL REFERENCES indexes ON DELETE CASCADE,
        kind TEXT NOT NULL, origin TEXT NOT NULL, state TEXT NOT NULL, started_at REAL NOT NULL,
        files_done INTEGER NOT NULL DEFAULT 0, files_total INTEGER NOT NULL DEFAULT 0,
        error TEXT)""",
    "CREATE INDEX ingests_of_index ON ingests (index_id, started_at)",
    """CREATE TABLE embedders (
        space INTEGER PRIMARY KEY REFERENCES spaces ON DELETE CASCADE, model TEXT NOT NULL)""",
    """CREATE TABLE moves (
        index_id TEXT PRIMARY KEY REFERENCES indexes ON DELETE CASCADE,
        space INTEGER NOT NULL REFERENCES spaces)""",
)


def _migrate_to_2(connection: sqlite3.Connection) -> None:
    for statement in _TO_VERSION_2:
        connection.execute(statement)
    documents = connection.execute("SELECT index_id, key, metadata FROM documents")
    for index_id, key, metadata in documents:
        add_fields(connection, index_id, key, json.loads(metadata))


STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _migrate_to_2}
"""By the version that each starts from."""
