"""Reads documents and passages for searches and citations: functions for `store.Store` to run.

Passages are read by their number (the change that added them), by which the derived index knows
them. A number that is not in storage any more was deleted since, and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from config.errors import NotFound, nearest
from indexes.records import Document, Passage, PassageHit
from indexes.retrieval.filters import Filter
from indexes.storage.database import IndexDatabase

_DOCUMENT_COLUMNS = (
    "id, source, title, media_type, hash, bytes_hash, size_bytes, passages, updated_at, metadata"
)
_LIST_DOCUMENTS = f"""
    SELECT {_DOCUMENT_COLUMNS} FROM documents d WHERE d.index_id = ?1 AND {{}}
    ORDER BY d.source, d.id LIMIT ? OFFSET ?"""
_SOME_DOCUMENTS = f"""
    SELECT {_DOCUMENT_COLUMNS} FROM documents
    WHERE index_id = ? AND id IN (SELECT value FROM json_each(?))"""
_DOCUMENT = f"SELECT {_DOCUMENT_COLUMNS}, text FROM documents WHERE index_id = ? AND id = ?"
_DOCUMENT_IDS = "SELECT id FROM documents WHERE index_id = ? LIMIT 1000"
_EXISTING_DOCUMENTS = """
    SELECT id FROM documents WHERE index_id = ? AND id IN (SELECT value FROM json_each(?))"""
_HEADING_AT = """
    SELECT p.heading FROM passages p JOIN documents d ON d.key = p.document
    WHERE d.index_id = ? AND d.id = ? AND p.start <= ? ORDER BY p.ordinal DESC LIMIT 1"""
_NUMBERS = """
    SELECT p.number FROM documents d JOIN passages p ON p.document = d.key
    WHERE d.index_id = ?1 AND {}"""
_PASSAGE = """
    SELECT p.number, p.ordinal, p.hash, d.id, d.title, d.source, p.heading, p.text, p.start,
        p.stop, p.page, d.hash
    FROM passages p JOIN documents d ON d.key = p.document"""
_PASSAGES = f"""{_PASSAGE}
    WHERE p.index_id = ? AND p.number IN (SELECT value FROM json_each(?))"""
_PASSAGES_BETWEEN = f"""{_PASSAGE}
    WHERE d.index_id = ? AND d.id = ? AND p.ordinal BETWEEN ? AND ? ORDER BY p.ordinal"""
_EXCERPTS = """
    SELECT p.number, v.excerpts
    FROM passages p JOIN vectors v ON v.space = ? AND v.hash = p.hash
    WHERE p.index_id = ? AND p.number IN (SELECT value FROM json_each(?))"""
_DOCUMENT_VECTORS = """
    SELECT v.vector FROM documents d JOIN indexes i ON i.id = d.index_id
        JOIN passages p ON p.document = d.key
        JOIN vectors v ON v.space = i.space AND v.hash = p.hash
    WHERE d.index_id = ? AND d.id = ?"""


def list_documents(
    database: IndexDatabase, id: str, name: str, condition: Filter, limit: int, offset: int
) -> list[Document]:
    """List the documents that a filter chooses, by source, without their texts."""
    query = _LIST_DOCUMENTS.format(condition.sql)
    rows = database.named_rows(query, id, *condition.values, limit, offset)
    return [_document(name, row) for row in rows]


def get_document(database: IndexDatabase, id: str, name: str, document: str) -> Document:
    """Read a document with its text. Raises `NotFound` (`document_not_found`) with the nearest."""
    for row in database.named_rows(_DOCUMENT, id, document):
        return _document(name, row)
    known = [id for (id,) in database.rows(_DOCUMENT_IDS, id)]
    raise NotFound(
        f"The index '{name}' has no document '{document}'. {nearest(document, known)}",
        code="document_not_found",
        details={"field": "document", "index": name},
    )


def get_documents(
    database: IndexDatabase, id: str, name: str, documents: Iterable[str]
) -> dict[str, Document]:
    """Read those of the documents that still exist, by id, without their texts."""
    rows = database.named_rows(_SOME_DOCUMENTS, id, json.dumps(list(documents)))
    return {row["id"]: _document(name, row) for row in rows}


def get_texts(database: IndexDatabase, id: str, documents: Iterable[str]) -> dict[str, str]:
    """Read the texts of those documents that still exist, by id."""
    query = "SELECT id, text FROM documents WHERE index_id = ? AND id = ?"
    return dict(row for each in documents for row in database.rows(query, id, each))


def get_heading(database: IndexDatabase, id: str, document: str, start: int) -> list[str]:
    """Read the headings above a character of a document, outermost first."""
    rows = database.rows(_HEADING_AT, id, document, start)
    return next((json.loads(heading) for (heading,) in rows), [])


def select_passages(
    database: IndexDatabase, id: str, documents: Sequence[str] | None, filter: Filter | None
) -> list[int]:
    """Select the numbers of the passages of documents, by ids, by their metadata, or by both."""
    condition = filter or Filter("1", ())
    query, values = _NUMBERS.format(condition.sql), [id, *condition.values]
    if documents is not None:
        values.append(json.dumps(list(documents)))
        query += " AND d.id IN (SELECT value FROM json_each(?))"
    return [number for (number,) in database.rows(query, *values)]


def find_existing(database: IndexDatabase, id: str, documents: Sequence[str]) -> set[str]:
    """Return those of the documents (ids) that the index has."""
    return {id for (id,) in database.rows(_EXISTING_DOCUMENTS, id, json.dumps(list(documents)))}


def get_passages(
    database: IndexDatabase, id: str, name: str, numbers: Sequence[int]
) -> dict[int, PassageHit]:
    """Read those of the passages that still exist, by number."""
    rows = database.rows(_PASSAGES, id, json.dumps(list(numbers)))
    return {row[0]: _passage(name, row) for row in rows}  # the number comes first


def get_excerpts(
    database: IndexDatabase, id: str, space: int | None, numbers: Sequence[int]
) -> dict[int, bytes]:
    """Read the packed excerpts of passages in a vector space, by number.

    Empty if the index has gone over to another model since, and these are forgotten.
    """
    return dict(database.rows(_EXCERPTS, space, id, json.dumps(list(numbers))))


def get_passages_between(
    database: IndexDatabase, id: str, name: str, document: str, first: int, last: int
) -> list[PassageHit]:
    """Read the passages of a document from ordinal `first` to `last`, in order."""
    rows = database.rows(_PASSAGES_BETWEEN, id, document, first, last)
    return [_passage(name, row) for row in rows]


def get_document_vectors(database: IndexDatabase, id: str, document: str) -> list[bytes]:
    """Read the vectors of a document's passages (float32, little-endian)."""
    return [vector for (vector,) in database.rows(_DOCUMENT_VECTORS, id, document)]


def _document(index: str, row: dict[str, Any]) -> Document:
    return Document(**{**row, "index": index, "metadata": json.loads(row["metadata"])})


def _passage(index: str, row: Sequence[Any]) -> PassageHit:
    """Build a passage from a row of `_PASSAGE`.

    In the order of its columns, unlike all others: every search reads dozens of these.
    """
    _, ordinal, digest, document, title, source, heading, text, start, stop, page, hash = row
    passage = Passage(
        f"{document}.{ordinal}", index, document, title, source, json.loads(heading), text,
        start, stop, page, hash, 0.0,
    )  # fmt: skip
    return PassageHit(passage, ordinal, digest)
