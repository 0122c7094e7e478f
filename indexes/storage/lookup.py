"""Reading documents and passages out of the truth: functions for `store.Store` to run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from config.errors import NotFound, nearest
from indexes.records import Document, Passage, PassageHit
from indexes.retrieval.filters import Filter
from indexes.storage import queries
from indexes.storage.database import IndexDatabase


def documents(
    database: IndexDatabase, id: str, name: str, chosen: Filter, limit: int, offset: int
) -> list[Document]:
    query = f"{queries.DOCUMENTS_WHERE.format(chosen.sql)} ORDER BY d.source, d.id LIMIT ? OFFSET ?"
    rows = database.rows(query, id, *chosen.values, limit, offset)
    return [_document(name, row) for row in rows]


def document(database: IndexDatabase, id: str, name: str, document: str) -> Document:
    """Raises `NotFound` (`document_not_found`) with the nearest."""
    rows = database.rows(queries.DOCUMENT, id, document)
    if not rows:
        known = [row[0] for row in database.rows(queries.DOCUMENT_IDS, id)]
        raise NotFound(
            f"The index '{name}' has no document '{document}'. {nearest(document, known)}",
            code="document_not_found",
            details={"field": "document", "index": name},
        )
    return _document(name, rows[0])


def some_documents(
    database: IndexDatabase, id: str, name: str, documents: Iterable[str]
) -> dict[str, Document]:
    """Those that still exist, by id, without their texts."""
    rows = database.rows(queries.SOME_DOCUMENTS, id, json.dumps(list(documents)))
    return {row[0]: _document(name, row) for row in rows}


def texts(database: IndexDatabase, id: str, documents: Iterable[str]) -> dict[str, str]:
    """The texts of those documents that still exist, by id."""
    query = "SELECT text FROM documents WHERE index_id = ? AND id = ?"
    found = {each: database.rows(query, id, each) for each in documents}
    return {each: rows[0][0] for each, rows in found.items() if rows}


def heading_at(database: IndexDatabase, id: str, document: str, start: int) -> list[str]:
    """The headings above a place of a document."""
    rows = database.rows(queries.HEADING_AT, id, document, start)
    return json.loads(rows[0][0]) if rows else []


def chosen(
    database: IndexDatabase, id: str, documents: Sequence[str] | None, filter: Filter | None
) -> list[int]:
    """The numbers of the passages of the documents chosen: by id, by their metadata, by both."""
    condition = filter or Filter("1", ())
    query, values = queries.NUMBERS.format(condition.sql), [id, *condition.values]
    if documents is not None:
        values.append(json.dumps(list(documents)))
        query += " AND d.id IN (SELECT value FROM json_each(?))"
    return [row[0] for row in database.rows(query, *values)]


def known(database: IndexDatabase, id: str, documents: Sequence[str]) -> set[str]:
    """Those of the documents (ids) that the index has."""
    rows = database.rows(queries.KNOWN_DOCUMENTS, id, json.dumps(list(documents)))
    return {row[0] for row in rows}


def found(
    database: IndexDatabase, id: str, name: str, numbers: Sequence[int]
) -> dict[int, PassageHit]:
    """Those of the passages that still exist, by number."""
    rows = database.rows(queries.PASSAGES, id, json.dumps(list(numbers)))
    return {row[0]: _found(name, row) for row in rows}


def excerpts(
    database: IndexDatabase, id: str, space: int | None, numbers: Sequence[int]
) -> dict[int, bytes]:
    """The excerpts of passages as stored with the vectors of a space, by number; none where the
    index has gone over to another model and these are forgotten."""
    return dict(database.rows(queries.EXCERPTS, space, id, json.dumps(list(numbers))))


def around(
    database: IndexDatabase, id: str, name: str, document: str, first: int, last: int
) -> list[PassageHit]:
    """The passages of a document from ordinal `first` to `last`, in order."""
    rows = database.rows(queries.PASSAGES_AROUND, id, document, first, last)
    return [_found(name, row) for row in rows]


def _document(index: str, row: Sequence[Any]) -> Document:
    id, source, title, media_type, hash, bytes_hash, size, passages, updated, metadata, *text = row
    return Document(
        id, index, source, title, media_type, hash, bytes_hash, size, passages, updated,
        json.loads(metadata), *text,
    )  # fmt: skip


def _found(index: str, row: Sequence[Any]) -> PassageHit:
    _, ordinal, digest, document, title, source, heading, text, start, stop, page, hash = row
    passage = Passage(
        f"{document}.{ordinal}", index, document, title, source, json.loads(heading), text,
        start, stop, page, hash, 0.0,
    )  # fmt: skip
    return PassageHit(passage, ordinal, digest)
