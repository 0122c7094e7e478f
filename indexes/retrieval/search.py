"""Retrieval: from a query to passages, out of one index or several.

The `Retriever` owns the order of the steps and how many candidates each is given: candidates of
vectors and keywords (`derived`), rescored by excerpts, fused over indexes, deduplicated, reranked
where that is asked for, expanded, highlighted. It holds nothing between searches but a tokenizer;
texts are read from storage after the search, so a hit may have been deleted meanwhile.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from config.errors import NotFound, TimedOut, Unavailable
from indexes.derived.synchronizer import EMBEDDING_CHANGED, IndexSynchronizer
from indexes.derived.worker_client import Hits
from indexes.ingestion.embedding import Embedders
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.records import IndexRecord, Passage, PassageHit
from indexes.retrieval import completeness
from indexes.retrieval.completeness import Gap, SearchResults
from indexes.retrieval.expansion import Expand, expand_passages
from indexes.retrieval.filters import Filter
from indexes.retrieval.fusion import deduplicate, fuse_rankings
from indexes.retrieval.reranking import RERANK_ROLE, RERANKED_CANDIDATES, rerank
from indexes.retrieval.rescoring import RESCORED_CANDIDATES, apply_score, rescore
from indexes.storage import index_rows, lookup
from indexes.storage.store import Store

if TYPE_CHECKING:  # 30 ms and 5 MB that only highlights need
    from indexes.derived.tokens import Tokenizer

log = logging.getLogger(__name__)

Mode = Literal["hybrid", "dense", "keyword"]

OVERFETCH = 8
"""Candidates beyond the limit: a passage may be deleted between the search and the reading."""
OVERLAP_FACTOR = 3
"""Candidates for each passage to return where they are expanded and may come to overlap."""
GROWTH_FACTOR = 4
"""The number of candidates grows by this factor while too few different passages come of them."""
MAX_CANDIDATES = 20_000
"""No search asks an index for more; narrower filters serve whom that is not enough."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for, checked. `rerank` None: as the index says."""

    text: str
    limit: int
    mode: Mode
    documents: Sequence[str] | None
    filter: Filter | None
    expand: Expand
    highlight: bool
    explain: bool
    rerank: bool | None


@dataclass(frozen=True, slots=True)
class _SearchTarget:
    """One index with what the search in it may choose from: passage numbers, or None for all.

    `vector` is the query's, little-endian float32; empty where keywords alone are searched.
    """

    index: IndexRecord
    vector: bytes
    allowed: Sequence[int] | None


class _Candidates(NamedTuple):
    """Hits, best first; `may_have_more` says that asking for more could find more.

    `gaps` say what the hits may lack.
    """

    hits: list[PassageHit]
    may_have_more: bool
    gaps: Sequence[Gap] = ()


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
        self._synchronizer = synchronizer
        self._reembedding = reembedding
        self._models = models
        self._tokenizer: Tokenizer | None = None

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
        targets = await self._choose_targets(indexes, query)
        reranker = _choose_reranker(indexes, query)
        needed = max(query.limit, RERANKED_CANDIDATES if reranker else 0)
        count = needed * (1 if query.expand == "none" else OVERLAP_FACTOR) + OVERFETCH
        while True:
            candidates = await self._search_all(targets, query, count)
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
                return SearchResults(self._highlight(passages, query), gaps)
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
        candidates = await self._search_all([_SearchTarget(index, vector, None)], query, count)
        ingesting = [completeness.ingesting(index.spec.name)] if self._is_ingesting(index) else []
        return SearchResults(candidates.hits, [*candidates.gaps, *ingesting])

    async def _choose_targets(
        self, indexes: Sequence[IndexRecord], query: SearchQuery
    ) -> list[_SearchTarget]:
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
            _SearchTarget(index, vectors.get(index.id, b""), allowed)
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

    async def _search_all(
        self, targets: Sequence[_SearchTarget], query: SearchQuery, count: int
    ) -> _Candidates:
        """Search the targets one after the other, and fuse their rankings."""
        by_target = [await self._search_one(target, query, count) for target in targets]
        one_model = len({target.index.fingerprint for target in targets}) == 1
        hits = fuse_rankings([each.hits for each in by_target], comparable=one_model)
        gaps = [gap for each in by_target for gap in each.gaps]
        return _Candidates(hits, any(each.may_have_more for each in by_target), gaps)

    async def _search_one(
        self, target: _SearchTarget, query: SearchQuery, count: int
    ) -> _Candidates:
        """Return the rescored hits of one index, those that are still stored."""
        index, hits = target.index, await self._ask_worker(target, query, count)
        excerpts: Mapping[int, bytes] = {}
        if hits.meaning is not None:
            numbers = [number for number, _ in hits.hits[:RESCORED_CANDIDATES]]
            excerpts = await self._store(lookup.get_excerpts, index.id, index.space, numbers)
        weight = 1.0 if query.mode == "dense" else index.spec.weight
        rescored = rescore(hits, excerpts, target.vector, weight)[:count]
        numbers = [hit.number for hit in rescored]
        stored = await self._store(lookup.get_passages, index.id, index.spec.name, numbers)
        passages = [
            apply_score(stored[hit.number], hit, excerpts.get(hit.number), target.vector)
            for hit in rescored
            if hit.number in stored
        ]
        return _Candidates(passages, len(hits.hits) >= count, _gaps(target, query, hits))

    async def _ask_worker(self, target: _SearchTarget, query: SearchQuery, count: int) -> Hits:
        allowed = target.allowed
        header = {
            "query": query.text,
            "mode": query.mode if target.vector else "keyword",
            "weight": target.index.spec.weight,
            "limit": max(count, RESCORED_CANDIDATES),
            "vector_bytes": len(target.vector),
            "filtered": allowed is not None,
            "explain": query.explain,
        }
        # Little-endian, as every machine that runs this is.
        body = target.vector + array("q", allowed or ()).tobytes()
        return await self._synchronizer.search(target.index, header, body)

    async def _expand(
        self, indexes: Sequence[IndexRecord], hits: Sequence[PassageHit], query: SearchQuery
    ) -> list[Passage]:
        if query.expand == "none":
            return [hit.passage for hit in hits[: query.limit]]
        ids = {index.spec.name: index.id for index in indexes}
        return await self._store(expand_passages, ids, hits, query.expand, query.limit)

    def _highlight(self, passages: list[Passage], query: SearchQuery) -> list[Passage]:
        if not query.highlight:
            return passages
        from indexes.derived.tokens import Tokenizer
        from indexes.retrieval.highlights import add_highlights

        self._tokenizer = self._tokenizer or Tokenizer()
        return add_highlights(self._tokenizer, query.text, passages)


def _gaps(target: _SearchTarget, query: SearchQuery, hits: Hits) -> list[Gap]:
    """Say what the hits of one index may lack."""
    name, gaps = target.index.spec.name, []
    if hits.searchable_share < 1:
        gaps.append(completeness.rebuilding(name, hits.searchable_share))
    if query.mode != "keyword" and not target.vector:
        gaps.append(completeness.no_embedder(name))
    return gaps


def _choose_reranker(indexes: Sequence[IndexRecord], query: SearchQuery) -> str | None:
    """Return the model that sorts the best candidates again, if one shall."""
    named = next((index.spec.rerank for index in indexes if index.spec.rerank), None)
    if query.rerank is False:
        return None
    return named or (RERANK_ROLE if query.rerank else None)
