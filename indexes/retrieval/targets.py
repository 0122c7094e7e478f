"""Where a search looks: the indexes in which something can be found, and what it may choose there.

Owns pre-filtering, and one vector of the query for each model that the indexes were made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.errors import NotFound
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.records import IndexRecord
from indexes.retrieval.query import SearchQuery
from indexes.storage import lookup
from indexes.storage.store import Store


@dataclass(frozen=True, slots=True)
class SearchTarget:
    """One index with what the search in it may choose from: passage numbers, or None for all.

    `vector` is the query's, little-endian float32; empty where keywords alone are searched.
    """

    index: IndexRecord
    vector: bytes
    allowed: Sequence[int] | None


class TargetSelector:
    """Makes targets of indexes. It holds nothing between searches."""

    def __init__(self, store: Store, reembedding: ReembeddingJobs) -> None:
        self._store = store
        self._reembedding = reembedding

    async def choose(
        self, indexes: Sequence[IndexRecord], query: SearchQuery
    ) -> list[SearchTarget]:
        """Return those of the indexes in which something can be found, with the query's vector."""
        if query.documents is not None:
            await self._check_documents(indexes, query.documents)
        chosen = [(index, await self._choose_allowed(index, query)) for index in indexes]
        embedded = [(index, allowed) for index, allowed in chosen if index.fingerprint]
        searchable = [
            (index, allowed) for index, allowed in embedded if allowed is None or len(allowed)
        ]
        vectors: Mapping[str, bytes] = {}
        if query.mode != "keyword":
            vectors = await self._embed_query([index for index, _ in searchable], query.text)
        return [
            SearchTarget(index, vectors.get(index.id, b""), allowed)
            for index, allowed in searchable
        ]

    async def _check_documents(
        self, indexes: Sequence[IndexRecord], documents: Sequence[str]
    ) -> None:
        known: set[str] = set()
        for index in indexes:
            known |= await self._store(lookup.find_existing, index.id, documents)
        for document in documents:
            if document not in known:
                # Of one index the error proposes the nearest.
                if len(indexes) == 1:
                    (index,) = indexes
                    await self._store(lookup.get_document, index.id, index.spec.name, document)
                raise NotFound(
                    f"None of the indexes has a document '{document[:80]}'.",
                    code="document_not_found",
                    details={"field": "documents"},
                )

    async def _choose_allowed(self, index: IndexRecord, query: SearchQuery) -> Sequence[int] | None:
        if query.documents is None and query.filter is None:
            return None
        return await self._store(lookup.select_passages, index.id, query.documents, query.filter)

    async def _embed_query(self, indexes: Sequence[IndexRecord], text: str) -> dict[str, bytes]:
        """Return the query's vector for each index, by its id; each model embeds once.

        A vector is empty where an index's model cannot be had any more: its keywords remain.
        """
        by_model: dict[str | None, bytes] = {}
        for index in indexes:
            if index.fingerprint not in by_model:
                async with self._reembedding.serving(index) as embed:
                    vectors = await embed.embed([text], urgent=True) if embed else None
                by_model[index.fingerprint] = bytes(vectors.row(0)) if vectors else b""
        return {index.id: by_model[index.fingerprint] for index in indexes}
