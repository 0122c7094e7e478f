"""Checks that a snapshot, which may come from anywhere, is what the tables take for granted.

Owns every property that storage's own code upholds and a stranger's file may not: schema, types,
spans that match their texts, a vector of the right length for each passage.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import Any

from indexes.quality.calibration import Threshold
from indexes.retrieval.excerpts import is_packed
from indexes.spec import IndexSpec
from indexes.storage.hashes import passage_hash, text_hash
from indexes.storage.schema import create

_SQLITE_TYPES = {"TEXT": "text", "INTEGER": "integer", "REAL": "real", "BLOB": "blob"}
_SNAPSHOT_TABLE = ("table", "snapshot", "CREATE TABLE snapshot (digest TEXT NOT NULL)")

_PASSAGE_WITHOUT_VECTOR = """
    SELECT 1 FROM passages p LEFT JOIN vectors v
        ON v.space = (SELECT space FROM indexes) AND v.hash = p.hash
    WHERE v.hash IS NULL"""
_WRONG_VECTOR = """
    SELECT 1 FROM vectors v LEFT JOIN spaces s ON s.id = v.space
    WHERE s.id IS NULL OR s.id IS NOT (SELECT space FROM indexes)
        OR length(v.vector) != 4 * s.dimensions"""
_WRONG_NUMBER = (
    "SELECT 1 FROM passages WHERE number > (SELECT last_change FROM indexes) OR number < 1"
)
_WRONG_FIELD = """
    SELECT 1 FROM fields WHERE typeof(value) NOT IN ('text', 'integer', 'real')
        OR kind NOT IN ('text', 'number', 'boolean')"""


def inspect_snapshot(copy: sqlite3.Connection) -> IndexSpec:
    """Check a snapshot; return the spec of its one index.

    Raises `ValueError`, `TypeError` or SQLite's errors for whatever is wrong.
    """
    if _schema(copy) != _expected_schema():
        raise ValueError("its tables are not those of a snapshot")
    if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        raise ValueError("it is damaged")
    if copy.execute("PRAGMA foreign_key_check").fetchall():
        raise ValueError("its tables do not agree")
    _check_types(copy)
    for query in (_PASSAGE_WITHOUT_VECTOR, _WRONG_VECTOR, _WRONG_NUMBER, _WRONG_FIELD):
        if copy.execute(query).fetchone():
            raise ValueError("its tables do not agree")
    indexes = copy.execute("SELECT spec, calibration FROM indexes").fetchall()
    if len(indexes) != 1:
        raise ValueError("it does not hold one index")
    ((spec, calibration),) = indexes
    if calibration:
        Threshold(**json.loads(calibration))
    for row in copy.execute("SELECT key, hash, metadata, passages, text FROM documents"):
        _check_document(copy, *row)
    return IndexSpec.model_validate_json(spec)


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Read the definitions of tables and indexes, without comments and layout."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    return {
        (kind, name, " ".join(re.sub("--.*", "", sql).split()))
        for kind, name, sql in connection.execute(query)
    }


def _expected_schema() -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        create(fresh)
        return _schema(fresh) | {_SNAPSHOT_TABLE}


def _check_types(copy: sqlite3.Connection) -> None:
    """Refuse values of other types than their column's: SQLite stores anything anywhere."""
    for table in ("spaces", "indexes", "vectors", "documents", "passages", "fields"):
        mismatches = []
        for _, column, type_, notnull, _, key in copy.execute(f"PRAGMA table_info({table})"):
            if type_ in _SQLITE_TYPES:
                allowed = f"'{_SQLITE_TYPES[type_]}'" + ("" if notnull or key else ", 'null'")
                mismatches.append(f"typeof({column}) NOT IN ({allowed})")
        if copy.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(mismatches)}").fetchone():
            raise ValueError(f"its table {table} holds values of a wrong type")


def _check_document(
    copy: sqlite3.Connection, key: int, hash: str, metadata: str, passages: int, text: str
) -> None:
    sound = text_hash(text) == hash and isinstance(json.loads(metadata), dict)
    query = """
        SELECT p.ordinal, p.start, p.stop, p.heading, p.hash, p.text, v.excerpts
        FROM passages p JOIN vectors v
            ON v.space = (SELECT space FROM indexes) AND v.hash = p.hash
        WHERE p.document = ? ORDER BY p.ordinal"""
    rows = copy.execute(query, (key,)).fetchall()
    exact = all(_is_exact(text, ordinal, row) for ordinal, row in enumerate(rows))
    if not (sound and exact and len(rows) == passages):
        raise ValueError("a document does not match its passages")


def _is_exact(text: str, ordinal: int, row: tuple[Any, ...]) -> bool:
    """Say whether a passage is the next of its document, as its text and its hash are."""
    stored_ordinal, start, stop, heading, hash, piece, excerpts = row
    titles = json.loads(heading)
    titled = isinstance(titles, list) and all(isinstance(title, str) for title in titles)
    exact_span = stored_ordinal == ordinal and 0 <= start < stop and text[start:stop] == piece
    return titled and exact_span and passage_hash(piece) == hash and is_packed(excerpts, len(piece))
