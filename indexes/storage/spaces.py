"""Vector spaces: which model's vectors an index uses, and its move to another model's.

Owns the tables `spaces`, `vectors`, `embedders` and `moves`, but for the vectors that a document
brings, which are committed with it.

Invariant: every passage of an index that is not moving has a vector in the index's space.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from indexes.records import Embedding, IndexRecord
from indexes.storage.database import IndexDatabase
from indexes.storage.index_rows import FORGET_SPACES, get_index, index_deleted

ADD_VECTOR = "INSERT OR IGNORE INTO vectors (space, hash, vector, excerpts) VALUES (?, ?, ?, ?)"
_ADD_SPACE = """
    INSERT INTO spaces (tenant, fingerprint, dimensions)
    SELECT tenant, ?, ? FROM indexes WHERE id = ? ON CONFLICT DO NOTHING"""
_SPACE = """
    SELECT s.id FROM spaces s JOIN indexes i ON i.tenant = s.tenant
    WHERE s.fingerprint = ? AND i.id = ?"""
_EMBEDDER = "INSERT OR REPLACE INTO embedders SELECT id, ? FROM spaces WHERE id = ?"
_TEXTS_WITHOUT_VECTOR = """
    SELECT DISTINCT p.text FROM passages p LEFT JOIN vectors v ON v.space = ? AND v.hash = p.hash
    WHERE p.index_id = ? AND v.hash IS NULL LIMIT ?"""


def begin_move(database: IndexDatabase, id: str, fingerprint: str, dimensions: int) -> IndexRecord:
    """Record that another model shall embed an index; its present vectors go on serving."""
    with database.transaction() as connection:
        space = _add_space(connection, id, fingerprint, dimensions)
        connection.execute("INSERT OR REPLACE INTO moves VALUES (?, ?)", (id, space))
        connection.execute(FORGET_SPACES)
    return get_index(database, id)


def end_move(database: IndexDatabase, id: str) -> None:
    """Let an index stay with the model that embedded it."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM moves WHERE index_id = ?", (id,))
        connection.execute(FORGET_SPACES)


def use_space(
    database: IndexDatabase, id: str, fingerprint: str, dimensions: int, model: str
) -> bool:
    """Let a model's vectors serve for an index; False if a passage has none of them yet."""
    with database.transaction() as connection:
        space = _add_space(connection, id, fingerprint, dimensions)
        if connection.execute(_TEXTS_WITHOUT_VECTOR, (space, id, 1)).fetchone():
            return False
        connection.execute("UPDATE indexes SET space = ? WHERE id = ?", (space, id))
        connection.execute("DELETE FROM moves WHERE index_id = ?", (id,))
        connection.execute(_EMBEDDER, (model, space))
        connection.execute(FORGET_SPACES)
        return True


def add_vectors(
    database: IndexDatabase,
    id: str,
    fingerprint: str,
    dimensions: int,
    vectors: Mapping[bytes, Embedding],
) -> None:
    """Store vectors of another model for an index that will use them once all are there."""
    with database.transaction() as connection:
        insert_vectors(connection, _add_space(connection, id, fingerprint, dimensions), vectors)


def insert_vectors(
    connection: sqlite3.Connection, space: int | None, vectors: Mapping[bytes, Embedding]
) -> None:
    """Store vectors by passage hash, unless there are some; the caller holds the transaction."""
    rows = [
        (space, hash, embedding.vector, embedding.excerpts) for hash, embedding in vectors.items()
    ]
    connection.executemany(ADD_VECTOR, rows)


def list_texts_without_vector(
    database: IndexDatabase, id: str, fingerprint: str, limit: int
) -> list[str]:
    """List passages of an index that a model has not embedded yet."""
    row = database.connection.execute(_SPACE, (fingerprint, id)).fetchone()
    space = row[0] if row else None
    return [text for (text,) in database.rows(_TEXTS_WITHOUT_VECTOR, space, id, limit)]


def find_known_hashes(
    database: IndexDatabase, space: int | None, hashes: Sequence[bytes]
) -> set[bytes]:
    """Return those of the passage hashes that have a vector in a space."""
    query = "SELECT hash FROM vectors WHERE space = ? AND hash = ?"
    return {known for hash in hashes for (known,) in database.rows(query, space, hash)}


def _add_space(connection: sqlite3.Connection, id: str, fingerprint: str, dimensions: int) -> int:
    """Return the id of a model's space for the index's tenant, which is added if needed."""
    connection.execute(_ADD_SPACE, (fingerprint, dimensions, id))
    row = connection.execute(_SPACE, (fingerprint, id)).fetchone()
    if row is None:
        raise index_deleted()
    return int(row[0])
