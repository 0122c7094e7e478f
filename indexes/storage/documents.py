"""Documents with their passages and vectors: commit and delete, whole or not at all.

Owns the tables `documents`, `passages` and `removals`, and the numbering of changes. Each passage
that is added and each that is removed is a change of its index, with the next number; the derived
index follows these (`changes`). Reading for searches is `lookup`'s.

Invariant: a vector is in storage as long as a passage of its space uses it, and no longer.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from indexes.records import Draft, Embedding, FileState
from indexes.storage.database import IndexDatabase
from indexes.storage.fields import add_fields
from indexes.storage.hashes import passage_hash, text_hash
from indexes.storage.index_rows import index_deleted
from indexes.storage.spaces import insert_vectors

_FILE_STATE = "SELECT id, bytes_hash, size_bytes, mtime_ns, recipe FROM documents"
_SET_MTIME = "UPDATE documents SET mtime_ns = ? WHERE index_id = ? AND id = ?"
_ADD_DOCUMENT = """
    INSERT INTO documents (index_id, id, origin, source, title, media_type, hash, bytes_hash,
        size_bytes, mtime_ns, recipe, metadata, passages, updated_at, text)
    VALUES (:index_id, :id, :origin, :source, :title, :media_type, :hash, :bytes_hash,
        :size_bytes, :mtime_ns, :recipe, :metadata, :passages, :updated_at, :text)"""
_ADD_PASSAGE = """
    INSERT INTO passages (index_id, number, document, ordinal, start, stop, page, heading, hash,
        text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_PASSAGE_WITHOUT_VECTOR = """
    SELECT 1 FROM passages p JOIN indexes i ON i.id = p.index_id
        LEFT JOIN vectors v ON v.space = i.space AND v.hash = p.hash
    WHERE p.document = ? AND v.hash IS NULL
        AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.index_id = i.id) LIMIT 1"""
_NEXT_CHANGES = (
    "UPDATE indexes SET last_change = last_change + ? WHERE id = ? RETURNING last_change"
)
_FORGET_VECTOR = """
    DELETE FROM vectors WHERE space IN (SELECT ?1 UNION SELECT space FROM moves) AND hash = ?2
        AND NOT EXISTS (
            SELECT 1 FROM passages p JOIN indexes i ON i.id = p.index_id
                LEFT JOIN moves m ON m.index_id = i.id
            WHERE p.hash = vectors.hash AND vectors.space IN (i.space, m.space))"""


class VectorsMissing(Exception):
    """A vector that was known is missing: its last other passage was deleted meanwhile."""


def list_file_states(database: IndexDatabase, id: str, origin: str) -> dict[str, FileState]:
    """List what is stored of a folder's files, by source."""
    query = f"{_FILE_STATE.replace('SELECT', 'SELECT source,')} WHERE index_id = ? AND origin = ?"
    rows = database.named_rows(query, id, origin)
    return {row.pop("source"): FileState(**row) for row in rows}


def get_file_state(database: IndexDatabase, id: str, document: str) -> FileState | None:
    rows = database.named_rows(f"{_FILE_STATE} WHERE index_id = ? AND id = ?", id, document)
    return next((FileState(**row) for row in rows), None)


def set_mtime(database: IndexDatabase, id: str, document: str, mtime_ns: int) -> None:
    """Remember a file's time, so that it is not read again while it has that."""
    database.connection.execute(_SET_MTIME, (mtime_ns, id, document))


def put_document(
    database: IndexDatabase,
    id: str,
    draft: Draft,
    made_for: int | None,
    vectors: Mapping[bytes, Embedding],
) -> bool:
    """Commit a document with its passages in place of the one of its id; True if there was one.

    `vectors` holds those that are new, by passage hash, for the space `made_for`. Raises
    `VectorsMissing`, and commits nothing, if a passage would be without its vector, or if the index
    has another space by now.
    """
    with database.transaction() as connection:
        space = current_space(connection, id)
        if space != made_for:
            raise VectorsMissing
        removed = _remove(connection, id, [draft.state.id])
        insert_vectors(connection, space, vectors)
        added = connection.execute(_ADD_DOCUMENT, _document_row(id, draft))
        key = int(added.lastrowid or 0)
        add_fields(connection, id, key, draft.metadata)
        _add_passages(connection, id, key, draft)
        if connection.execute(_PASSAGE_WITHOUT_VECTOR, (key,)).fetchone():
            raise VectorsMissing
        # Last: the new document may use vectors of the one it replaces.
        _forget_vectors(connection, space, removed)
    return removed is not None


def delete_documents(database: IndexDatabase, id: str, documents: Sequence[str]) -> None:
    """Delete documents (ids) of an index; ids that it does not have are ignored."""
    with database.transaction() as connection:
        removed = _remove(connection, id, documents)
        _forget_vectors(connection, current_space(connection, id), removed)


def current_space(connection: sqlite3.Connection, id: str) -> int | None:
    """Return the space whose vectors serve for an index; None before the first document."""
    row = connection.execute("SELECT space FROM indexes WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise index_deleted()
    space: int | None = row[0]
    return space


def _document_row(index_id: str, draft: Draft) -> dict[str, Any]:
    state = draft.state
    return {
        "index_id": index_id,
        "id": state.id,
        "origin": draft.origin,
        "source": draft.source,
        "title": draft.title,
        "media_type": draft.media_type,
        "hash": text_hash(draft.text),
        "bytes_hash": state.bytes_hash,
        "size_bytes": state.size_bytes,
        "mtime_ns": state.mtime_ns,
        "recipe": state.recipe,
        "metadata": json.dumps(draft.metadata),
        "passages": len(draft.chunks),
        "updated_at": time.time(),
        "text": draft.text,
    }


def _add_passages(connection: sqlite3.Connection, id: str, key: int, draft: Draft) -> None:
    """Add the passages of the document of row `key`, with consecutive change numbers."""
    first = _take_changes(connection, id, len(draft.chunks))
    rows = []
    for ordinal, (chunk, text) in enumerate(zip(draft.chunks, draft.texts(), strict=True)):
        rows.append(
            (id, first + ordinal, key, ordinal, chunk.start, chunk.end, chunk.page,
             json.dumps(chunk.heading), passage_hash(text), text)
        )  # fmt: skip
    connection.executemany(_ADD_PASSAGE, rows)


def _take_changes(connection: sqlite3.Connection, id: str, count: int) -> int:
    """Take the next `count` change numbers of an index; return the first."""
    row = connection.execute(_NEXT_CHANGES, (count, id)).fetchone()
    if row is None:
        raise index_deleted()
    return int(row[0]) - count + 1


def _remove(connection: sqlite3.Connection, id: str, documents: Sequence[str]) -> set[bytes] | None:
    """Remove documents; return their passages' hashes, or None if none of them was there."""
    key_query = "SELECT key FROM documents WHERE index_id = ? AND id = ?"
    keys = [key for document in documents for key in connection.execute(key_query, (id, document))]
    if not keys:
        return None
    passage_query = "SELECT number, hash FROM passages WHERE document = ?"
    passages = [row for key in keys for row in connection.execute(passage_query, key)]
    first = _take_changes(connection, id, len(passages))
    removals = [(id, first + at, number) for at, (number, _) in enumerate(passages)]
    connection.executemany("INSERT INTO removals VALUES (?, ?, ?)", removals)
    # The passages and fields go with their document (ON DELETE CASCADE).
    connection.executemany("DELETE FROM documents WHERE key = ?", keys)
    return {hash for _, hash in passages}


def _forget_vectors(
    connection: sqlite3.Connection, space: int | None, hashes: set[bytes] | None
) -> None:
    """Delete the vectors of removed passages that no other passage uses."""
    connection.executemany(_FORGET_VECTOR, [(space, hash) for hash in hashes or ()])
