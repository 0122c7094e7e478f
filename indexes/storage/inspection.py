"""Whether a snapshot, which may come from anywhere, is what the tables take for granted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from indexes.quality.calibration import Threshold
from indexes.retrieval.excerpts import is_packed
from indexes.spec import IndexSpec
from indexes.storage.schema import create
from indexes.storage.tables import passage_hash, text_hash

TYPES = {"TEXT": "text", "INTEGER": "integer", "REAL": "real", "BLOB": "blob"}
SNAPSHOT = ("table", "snapshot", "CREATE TABLE snapshot (digest TEXT NOT NULL)")

INCOMPLETE = """
    SELECT 1 FROM passages p LEFT JOIN vectors v
        ON v.space = (SELECT space FROM indexes) AND v.hash = p.hash
    WHERE v.hash IS NULL"""
WRONG_VECTOR = """
    SELECT 1 FROM vectors v LEFT JOIN spaces s ON s.id = v.space
    WHERE s.id IS NULL OR s.id IS NOT (SELECT space FROM indexes)
        OR length(v.vector) != 4 * s.dimensions"""
BEYOND = "SELECT 1 FROM passages WHERE number > (SELECT last_change FROM indexes) OR number < 1"
STRANGE_FIELD = """
    SELECT 1 FROM fields WHERE typeof(value) NOT IN ('text', 'integer', 'real')
        OR kind NOT IN ('text', 'number', 'boolean')"""


def inspected(copy: sqlite3.Connection) -> IndexSpec:
    """The spec of the one index it holds. Raises `ValueError`, `TypeError` or SQLite's errors
    for whatever is wrong."""
    if _schema(copy) != _expected():
        raise ValueError("its tables are not those of a snapshot")
    if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        raise ValueError("it is damaged")
    if copy.execute("PRAGMA foreign_key_check").fetchall():
        raise ValueError("its tables do not agree")
    _check_types(copy)
    for query in (INCOMPLETE, WRONG_VECTOR, BEYOND, STRANGE_FIELD):
        if copy.execute(query).fetchone():
            raise ValueError("its tables do not agree")
    held = copy.execute("SELECT spec, calibration FROM indexes").fetchall()
    if len(held) != 1:
        raise ValueError("it does not hold one index")
    spec, calibration = held[0]
    if calibration:
        Threshold(**json.loads(calibration))
    for row in copy.execute("SELECT key, hash, metadata, passages, text FROM documents"):
        _check_document(copy, *row)
    return IndexSpec.model_validate_json(spec)


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    return set(connection.execute(query))


def _expected() -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        create(fresh)
        return _schema(fresh) | {SNAPSHOT}


def _check_types(copy: sqlite3.Connection) -> None:
    """SQLite keeps anything in any column; who reads it trusts the declared type."""
    for table in ("spaces", "indexes", "vectors", "documents", "passages", "fields"):
        wrong = []
        for _, column, type_, notnull, _, key in copy.execute(f"PRAGMA table_info({table})"):
            if type_ in TYPES:
                allowed = f"'{TYPES[type_]}'" + ("" if notnull or key else ", 'null'")
                wrong.append(f"typeof({column}) NOT IN ({allowed})")
        if copy.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(wrong)}").fetchone():
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
    exact = all(_is_exact(text, at, row) for at, row in enumerate(rows))
    if not (sound and exact and len(rows) == passages):
        raise ValueError("a document does not match its passages")


def _is_exact(text: str, at: int, row: tuple[Any, ...]) -> bool:
    ordinal, start, stop, heading, hash, piece, excerpts = row
    titles = json.loads(heading)
    named = isinstance(titles, list) and all(isinstance(title, str) for title in titles)
    placed = ordinal == at and 0 <= start < stop and text[start:stop] == piece
    return named and placed and passage_hash(piece) == hash and is_packed(excerpts, len(piece))
