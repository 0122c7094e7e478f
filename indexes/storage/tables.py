"""What is written to the truth: indexes, documents with their passages, and what changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import Conflict, NotFound, nearest
from indexes.records import Changes, Draft, Embedding, FileState, IndexInfo, IndexRecord
from indexes.retrieval.smoothing import NEIGHBOR_REACH, smooth_rows
from indexes.spec import IndexSpec
from indexes.storage import queries
from indexes.storage.database import IndexDatabase
from indexes.storage.fields import add_fields


def document_id(origin: str, source: str) -> str:
    """The same source keeps its id, whatever becomes of its content."""
    return hashlib.blake2b(f"{origin}\0{source}".encode(), digest_size=10).hexdigest()


def passage_hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def gone() -> NotFound:
    return NotFound("The index was deleted meanwhile.", code="index_not_found")


class VectorsMissing(Exception):
    """A vector that was known has gone: its last other passage was deleted meanwhile."""


class Tables(IndexDatabase):
    """What is written, and what indexes and documents are."""

    # Indexes

    def create_index(self, tenant: str, spec: IndexSpec) -> None:
        try:
            self.connection.execute(
                "INSERT INTO indexes (id, tenant, name, spec) VALUES (?, ?, ?, ?)",
                (uuid.uuid4().hex, tenant, spec.name, spec.model_dump_json()),
            )
        except sqlite3.IntegrityError as error:
            raise Conflict(
                f"There is an index '{spec.name}' already.",
                code="index_exists",
                details={"field": "name"},
            ) from error

    def declare_index(self, tenant: str, spec: IndexSpec) -> None:
        """Create it, or give the one there is this spec."""
        self.connection.execute(
            "INSERT INTO indexes (id, tenant, name, spec) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (tenant, name) DO UPDATE SET spec = excluded.spec",
            (uuid.uuid4().hex, tenant, spec.name, spec.model_dump_json()),
        )

    def index(self, tenant: str, name: str) -> IndexRecord:
        found = self._indexes("i.tenant = ? AND i.name = ?", tenant, name)
        if not found:
            names = [row[0] for row in self.rows(queries.NAMES, tenant)]
            raise NotFound(
                f"There is no index '{name}'. {nearest(name, names)}",
                code="index_not_found",
                details={"field": "index", "index": name},
            )
        return found[0]

    def present(self, id: str) -> IndexRecord:
        """An index as it is now, by its id."""
        found = self._indexes("i.id = ?", id)
        if not found:
            raise gone()
        return found[0]

    def moving(self) -> list[IndexRecord]:
        """Those that are on their way to another model."""
        return self._indexes("m.space IS NOT NULL")

    def all_indexes(self) -> list[IndexRecord]:
        return self._indexes("i.tenant != ''")  # the others are only being imported

    def _indexes(self, condition: str, *parameters: Any) -> list[IndexRecord]:
        return [
            IndexRecord(row[0], row[1], IndexSpec.model_validate_json(row[2]), *row[3:])
            for row in self.rows(f"{queries.INDEX} WHERE {condition}", *parameters)
        ]

    def infos(self, tenant: str, name: str | None = None) -> list[IndexInfo]:
        rows = self.rows(queries.INFOS, tenant, name, name)
        specs = [(IndexSpec.model_validate_json(row[0]), *row[1:]) for row in rows]
        return [
            IndexInfo(
                spec.name, spec.description, list(spec.folders), documents, passages or 0,
                spec.chunk_words, spec.model, spec.weight, fingerprint, spec.rerank, spec.watch,
            )
            for spec, documents, passages, fingerprint in specs
        ]  # fmt: skip

    def delete_index(self, id: str) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM indexes WHERE id = ?", (id,))
            connection.execute(queries.FORGET_SPACES)
            connection.execute(queries.FORGET_VECTORS)

    def add_vectors(
        self, id: str, fingerprint: str, dimensions: int, vectors: Mapping[bytes, Embedding]
    ) -> None:
        """Keep vectors of another model for an index that will use it once all are there."""
        with self.transaction() as connection:
            space = self._add_space(connection, id, fingerprint, dimensions)
            rows = [(space, hash, *embedding) for hash, embedding in vectors.items()]
            connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", rows)

    def begin_move(self, id: str, fingerprint: str, dimensions: int) -> IndexRecord:
        """Another model shall embed an index; until all its passages are, nothing changes."""
        with self.transaction() as connection:
            space = self._add_space(connection, id, fingerprint, dimensions)
            connection.execute("INSERT OR REPLACE INTO moves VALUES (?, ?)", (id, space))
            connection.execute(queries.FORGET_SPACES)
        return self.present(id)

    def end_move(self, id: str) -> None:
        """It stays with the model that embedded it."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM moves WHERE index_id = ?", (id,))
            connection.execute(queries.FORGET_SPACES)

    def use_space(self, id: str, fingerprint: str, dimensions: int, model: str) -> bool:
        """Say which model embeds an index; False when a passage has no vector of it yet."""
        with self.transaction() as connection:
            space = self._add_space(connection, id, fingerprint, dimensions)
            if connection.execute(queries.WITHOUT_VECTOR, (space, id, 1)).fetchone():
                return False
            connection.execute("UPDATE indexes SET space = ? WHERE id = ?", (space, id))
            connection.execute("DELETE FROM moves WHERE index_id = ?", (id,))
            connection.execute(queries.EMBEDDER, (model, space))
            connection.execute(queries.FORGET_SPACES)
            return True

    def texts_without_vector(self, id: str, fingerprint: str, limit: int) -> list[str]:
        """Passages of an index that a model has not embedded yet."""
        rows = self.rows(queries.SPACE, fingerprint, id)
        space = rows[0][0] if rows else None
        return [row[0] for row in self.rows(queries.WITHOUT_VECTOR, space, id, limit)]

    def _add_space(
        self, connection: sqlite3.Connection, id: str, fingerprint: str, dimensions: int
    ) -> int:
        connection.execute(queries.ADD_SPACE, (fingerprint, dimensions, id))
        row = connection.execute(queries.SPACE, (fingerprint, id)).fetchone()
        if row is None:
            raise gone()
        return int(row[0])

    # Documents

    def file_states(self, id: str, origin: str) -> dict[str, FileState]:
        """By source."""
        rows = self.rows(queries.FILE_STATES, id, origin)
        return {source: FileState(*state) for source, *state in rows}

    def file_state(self, id: str, document: str) -> FileState | None:
        rows = self.rows(queries.FILE_STATE, id, document)
        return FileState(*rows[0]) if rows else None

    def set_mtime(self, id: str, document: str, mtime_ns: int) -> None:
        self.connection.execute(queries.SET_MTIME, (mtime_ns, id, document))

    def put_document(
        self, id: str, draft: Draft, made_for: int | None, vectors: Mapping[bytes, Embedding]
    ) -> bool:
        """Commit a document with its passages in place of the one of its id, if there is one.

        `vectors` holds those that are new, by passage hash, for the space `made_for`. True when
        it replaced another. Raises `VectorsMissing`, and commits nothing, when a passage would be
        without its vector, or the index has another space by now.
        """
        with self.transaction() as connection:
            space = self._space(connection, id)
            if space != made_for:
                raise VectorsMissing
            removed = self._remove(connection, id, [draft.state.id])
            rows = [(space, hash, *embedding) for hash, embedding in vectors.items()]
            connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", rows)
            added = connection.execute(queries.ADD_DOCUMENT, self._document_row(id, draft))
            key = int(added.lastrowid or 0)
            add_fields(connection, id, key, draft.metadata)
            self._add_passages(connection, id, key, draft)
            if connection.execute(queries.INCOMPLETE, (key,)).fetchone():
                raise VectorsMissing
            self._forget_vectors(connection, space, removed)
        return removed is not None

    def delete_documents(self, id: str, documents: Sequence[str]) -> None:
        with self.transaction() as connection:
            removed = self._remove(connection, id, documents)
            self._forget_vectors(connection, self._space(connection, id), removed)

    def _space(self, connection: sqlite3.Connection, id: str) -> int | None:
        row = connection.execute("SELECT space FROM indexes WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise gone()
        space: int | None = row[0]
        return space

    def _document_row(self, id: str, draft: Draft) -> tuple[Any, ...]:
        state = draft.state
        return (
            id, draft.state.id, draft.origin, draft.source, draft.title, draft.media_type,
            text_hash(draft.text), state.bytes_hash, state.size_bytes, state.mtime_ns,
            state.recipe, json.dumps(draft.metadata), len(draft.chunks), time.time(), draft.text,
        )  # fmt: skip

    def _add_passages(
        self, connection: sqlite3.Connection, id: str, key: int, draft: Draft
    ) -> None:
        first = self._next_changes(connection, id, len(draft.chunks))
        rows = []
        for ordinal, (chunk, text) in enumerate(zip(draft.chunks, draft.texts(), strict=True)):
            rows.append(
                (id, first + ordinal, key, ordinal, chunk.start, chunk.end, chunk.page,
                 json.dumps(chunk.heading), passage_hash(text), text)
            )  # fmt: skip
        connection.executemany(queries.ADD_PASSAGE, rows)

    def _next_changes(self, connection: sqlite3.Connection, id: str, count: int) -> int:
        """The first of `count` new change numbers of an index."""
        row = connection.execute(queries.NEXT_CHANGES, (count, id)).fetchone()
        if row is None:
            raise gone()
        return int(row[0]) - count + 1

    def _remove(
        self, connection: sqlite3.Connection, id: str, documents: Sequence[str]
    ) -> set[bytes] | None:
        """The hashes of the passages removed; None when none of the documents was there."""
        found = [row for each in documents for row in connection.execute(queries.KEY, (id, each))]
        passages = [row for key in found for row in connection.execute(queries.PASSAGES_OF, key)]
        if not found:
            return None
        first = self._next_changes(connection, id, len(passages))
        removals = [(id, first + at, number) for at, (number, _) in enumerate(passages)]
        connection.executemany("INSERT INTO removals VALUES (?, ?, ?)", removals)
        connection.executemany("DELETE FROM documents WHERE key = ?", found)
        return {hash for _, hash in passages}

    def _forget_vectors(
        self, connection: sqlite3.Connection, space: int | None, hashes: set[bytes] | None
    ) -> None:
        rows = [(space, hash) for hash in hashes or ()]
        connection.executemany(queries.FORGET_VECTOR, rows)

    def known_vectors(self, space: int | None, hashes: Sequence[bytes]) -> set[bytes]:
        query = "SELECT hash FROM vectors WHERE space = ? AND hash = ?"
        return {row[0] for hash in hashes for row in self.rows(query, space, hash)}

    # What the derived index has to follow

    def last_change(self, id: str) -> int:
        rows = self.rows("SELECT last_change FROM indexes WHERE id = ?", id)
        if not rows:
            raise gone()
        return int(rows[0][0])

    def changes(
        self, id: str, after: int, born: int, limit: int, space: int | None = None
    ) -> Changes | None:
        """The next changes after change `after`; None when there are none. `space`: whose
        vectors, if not those that the index is embedded by; where one is missing it is zero.

        What was removed up to change `born` is left out: a derived index that began to be filled
        then has never seen it.
        """
        last = self.last_change(id)
        added = self.rows(queries.ADDED, id, after, limit)
        removed = self.rows(queries.REMOVED, id, max(after, born), limit)
        full = [rows[-1][0] for rows in (added, removed) if len(rows) == limit]
        upto = min(full, default=last)
        if upto <= after:
            return None
        added = [row for row in added if row[0] <= upto]
        return Changes(
            upto,
            [row[0] for row in added],
            [row[1] for row in added],
            self._smoothed_vectors(id, space, [row[0] for row in added]),
            [row[1] for row in removed if row[0] <= upto],
        )

    def _smoothed_vectors(self, id: str, space: int | None, numbers: Sequence[int]) -> bytes:
        """The vectors of passages, each blended with what stands around it in its document."""
        if not numbers:
            return b""
        # A document's passages have consecutive numbers.
        first, last = numbers[0] - NEIGHBOR_REACH, numbers[-1] + NEIGHBOR_REACH
        space = self._space(self.connection, id) if space is None else space
        rows = self.rows(queries.VECTORS_BETWEEN, space, id, first, last)
        return smooth_rows(rows, numbers)

    def unremoved_indexes(self) -> set[str]:
        """Those from which nothing was removed since they were saved."""
        return {row[0] for row in self.rows(queries.UNREMOVED)}

    def mark_saved(self, id: str, change: int) -> None:
        """Nothing older than `change` will be asked for, unless from the beginning."""
        with self.transaction() as connection:
            connection.execute("UPDATE indexes SET saved_change = ? WHERE id = ?", (change, id))
            connection.execute(
                "DELETE FROM removals WHERE index_id = ? AND number <= ?", (id, change)
            )
