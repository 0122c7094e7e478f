"""Retrieval: from a query to passages, out of one index or several.

The `Retriever` owns the order of the steps and how many candidates each is given: candidates of
all targets, deduplicated, reranked where that is asked for, expanded, highlighted. It holds nothing
between searches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from config.errors import NotFound, TimedOut, Unavailable
from indexes.derived.synchronizer import EMBEDDING_CHANGED, IndexSynchronizer
from indexes.ingestion.embedding import Embedders
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.records import IndexRecord, Passage, PassageHit
from indexes.retrieval import completeness
from indexes.retrieval.candidates import CandidateSearch
from indexes.retrieval.completeness import Gap, SearchResults
from indexes.retrieval.expansion import expand_passages
from indexes.retrieval.fusion import deduplicate
from indexes.retrieval.query import SearchQuery
from indexes.retrieval.reranking import RERANK_ROLE, RERANKED_CANDIDATES, rerank
from indexes.retrieval.targets import SearchTarget, TargetSelector
from indexes.storage import index_rows
from indexes.storage.store import Store

log = logging.getLogger(__name__)

OVERFETCH = 8
"""Candidates beyond the limit: a passage may be deleted between the search and the reading."""
OVERLAP_FACTOR = 3
"""Candidates for each passage to return where they are expanded and may come to overlap."""
GROWTH_FACTOR = 4
"""The number of candidates grows by this factor while too few different passages come of them."""
MAX_CANDIDATES = 20_000
"""No search asks an index for more; narrower filters serve whom that is not enough."""


class Retriever:
    """Searches indexes that the caller has looked up. Searches may run at the same time."""

    def __init__(
        self,
        store: Store,
        synchronizer: IndexSynchronizer,
        reembedding: ReembeddingJobs,
        models: Embedders,
        is_ingesting: Callable[[IndexRecord], bool] = lambda index: False,
    ) -> None:
        self._is_ingesting = is_ingesting
        self._store = store
        self._targets = TargetSelector(store, reembedding)
        self._candidates = CandidateSearch(store, synchronizer)
        self._models = models

    async def __call__(
        self, indexes: Sequence[IndexRecord], query: SearchQuery
    ) -> SearchResults[Passage]:
        """Return the passages that fit best, best first.

        Waits for the embedder and the index worker, for an index that is restored
        (`RESTORE_WAIT_S`), and for a reranker. Raises as `Indexes.search` says.
        """
        try:
            return await self._retrieve(indexes, query)
        except Unavailable as error:
            if error.code != EMBEDDING_CHANGED:
                raise
        # Under the search one of them has gone over to another model: as it is now, then.
        present = [await self._store(index_rows.get_index, index.id) for index in indexes]
        return await self._retrieve(present, query)

    async def _retrieve(
        self, indexes: Sequence[IndexRecord], query: SearchQuery
    ) -> SearchResults[Passage]:
        gaps = [completeness.ingesting(i.spec.name) for i in indexes if self._is_ingesting(i)]
        targets = await self._targets.choose(indexes, query)
        reranker = _choose_reranker(indexes, query)
        needed = max(query.limit, RERANKED_CANDIDATES if reranker else 0)
        count = needed * (1 if query.expand == "none" else OVERLAP_FACTOR) + OVERFETCH
        while True:
            candidates = await self._candidates.search(targets, query, count)
            unique = deduplicate(candidates.hits)
            if reranker:
                unique = await self._rerank(reranker, indexes[0], query, unique, gaps)
            passages = await self._expand(indexes, unique, query)
            enough = len(passages) >= query.limit
            # Copies and overlaps became one: only more candidates can fill the limit then.
            if enough or not candidates.may_have_more or count >= MAX_CANDIDATES:
                gaps += candidates.gaps
                if not enough and candidates.may_have_more:
                    gaps.append(completeness.cut_off(indexes[0].spec.name, count))
                if query.highlight:
                    passages = await asyncio.to_thread(_highlight, query.text, passages)
                return SearchResults(passages, gaps)
            count *= GROWTH_FACTOR

    async def _rerank(
        self,
        reranker: str,
        index: IndexRecord,
        query: SearchQuery,
        hits: list[PassageHit],
        gaps: list[Gap],
    ) -> list[PassageHit]:
        """Sort the hits anew; where the search did not ask for it and it fails, leave them."""
        try:
            return await rerank(self._models, reranker, index.tenant, query.text, hits)
        except (NotFound, TimedOut, Unavailable) as error:
            if query.rerank:
                raise
            log.warning("index '%s' is not reranked: %s", index.spec.name, error.message)
            gaps.append(completeness.not_reranked(index.spec.name, error.public_message))
            return hits

    async def search_by_vector(
        self, index: IndexRecord, vector: bytes, count: int
    ) -> SearchResults[PassageHit]:
        """Return the passages most similar to a vector (little-endian float32), most
        similar first.
        """
        query = SearchQuery("", count, "dense", None, None, "none", False, False, False)
        candidates = await self._candidates.search(
            [SearchTarget(index, vector, None)], query, count
        )
        ingesting = [completeness.ingesting(index.spec.name)] if self._is_ingesting(index) else []
        return SearchResults(candidates.hits, [*candidates.gaps, *ingesting])

    async def _expand(
        self, indexes: Sequence[IndexRecord], hits: Sequence[PassageHit], query: SearchQuery
    ) -> list[Passage]:
        if query.expand == "none":
            return [hit.passage for hit in hits[: query.limit]]
        ids = {index.spec.name: index.id for index in indexes}
        return await self._store(expand_passages, ids, hits, query.expand, query.limit)


def _highlight(query: str, passages: list[Passage]) -> list[Passage]:
    """Add the spans of the query's words; blocks, the first time for the tokenizer's import too."""
    from indexes.derived.tokens import Tokenizer
    from indexes.retrieval.highlights import add_highlights

    return add_highlights(Tokenizer(), query, passages)


def _choose_reranker(indexes: Sequence[IndexRecord], query: SearchQuery) -> str | None:
    """Return the model that sorts the best candidates again, if one shall."""
    named = next((index.spec.rerank for index in indexes if index.spec.rerank), None)
    if query.rerank is False:
        return None
    return named or (RERANK_ROLE if query.rerank else None)
