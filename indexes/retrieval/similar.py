"""Finds documents that are about the same as another, by the mean of its passages' vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indexes.records import Document, IndexRecord, Passage, PassageHit
from indexes.retrieval.completeness import SearchResults
from indexes.retrieval.search import GROWTH_FACTOR, MAX_CANDIDATES, Retriever
from indexes.storage import lookup
from indexes.storage.store import Store

PASSAGES_PER_DOCUMENT = 8
"""Candidates for each document to return: one document may hold several of the best."""


@dataclass(frozen=True, slots=True)
class SimilarDocument:
    """A document (without its text) with its passage that comes nearest.

    `score` is the cosine of that passage with the mean of the other document's passages.
    """

    document: Document
    score: float
    passage: Passage

    def as_dict(self) -> dict[str, Any]:
        return {
            "document": self.document.as_dict(),
            "score": self.score,
            "passage": self.passage.as_dict(),
        }


async def find_similar(
    store: Store, search: Retriever, index: IndexRecord, document: str, limit: int
) -> SearchResults[SimilarDocument]:
    """Return the documents of the index most similar to one of them, most similar first."""
    vectors = await store(lookup.get_document_vectors, index.id, document)
    mean = await asyncio.to_thread(_compute_mean, vectors)
    count = PASSAGES_PER_DOCUMENT * (limit + 1)
    while mean:
        hits = await search.search_by_vector(index, mean, count)
        best = _best_per_document(hits, document)
        if len(best) >= limit or len(hits) < count or count >= MAX_CANDIDATES:
            return SearchResults(await _add_documents(store, index, best[:limit]), hits.gaps)
        count *= GROWTH_FACTOR
    return SearchResults()


def _compute_mean(vectors: Sequence[bytes]) -> bytes:
    # The server needs it for nothing else: 20 MB.
    import numpy as np

    if not vectors:
        return b""
    mean = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), -1).mean(axis=0)
    length = float(np.linalg.norm(mean)) or 1.0
    return bytes((mean / length).astype("<f4").tobytes())


def _best_per_document(hits: Sequence[PassageHit], but: str) -> list[Passage]:
    best: dict[str, Passage] = {}
    for hit in hits:
        if hit.passage.document != but:
            best.setdefault(hit.passage.document, hit.passage)
    return list(best.values())


async def _add_documents(
    store: Store, index: IndexRecord, passages: Sequence[Passage]
) -> list[SimilarDocument]:
    ids = [passage.document for passage in passages]
    documents = await store(lookup.get_documents, index.id, index.spec.name, ids)
    return [
        SimilarDocument(documents[passage.document], passage.score, passage)
        for passage in passages
        if passage.document in documents
    ]
