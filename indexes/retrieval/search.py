"""Retrieval: from a question to passages, out of one index or several."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from config.errors import NotFound, Unavailable
from indexes.derived.synchronizer import MOVED, IndexSynchronizer
from indexes.ingestion.embedding import Embedders
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.records import Found, Index, Passage
from indexes.retrieval.expansion import Expand, expand_passages
from indexes.retrieval.filters import Filter
from indexes.retrieval.fusion import deduplicate, fuse_rankings
from indexes.retrieval.reranking import RERANK_ROLE, RERANKED_CANDIDATES, rerank
from indexes.retrieval.rescoring import RESCORED_CANDIDATES, apply_score, rescore
from indexes.storage import lookup
from indexes.storage.store import Store
from indexes.storage.tables import Tables

if TYPE_CHECKING:  # 30 ms and 5 MB that only highlights need
    from indexes.derived.tokens import Tokenizer

Mode = Literal["hybrid", "dense", "keyword"]

OVERFETCH = 8
"""Asked for beyond the limit: a passage may be deleted between being found and being read."""
OVERLAP_FACTOR = 3
"""Hits asked for each that is wanted where they grow and may come to overlap."""
GROWTH_FACTOR = 4
"""What is asked for grows by this factor while too few different passages are found."""
MAX_CANDIDATES = 20_000


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is looked for, checked. `rerank` None: as the index says."""

    query: str
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
    """One index with what the search in it may choose from: passage numbers, or None for all."""

    index: Index
    vector: bytes
    allowed: Sequence[int] | None


class Retriever:
    """Searches indexes that the caller has looked up."""

    def __init__(
        self, store: Store, keeper: IndexSynchronizer, moves: ReembeddingJobs, models: Embedders
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._moves = moves
        self._models = models
        self._tokenizer: Tokenizer | None = None

    async def __call__(self, indexes: Sequence[Index], asked: SearchQuery) -> list[Passage]:
        """The passages that fit best, best first. Raises as `Indexes.search` says."""
        try:
            return await self._asked(indexes, asked)
        except Unavailable as error:
            if error.code != MOVED:
                raise
        # Under the search one of them has gone over to another model: as it is now, then.
        present = [await self._store(Tables.present, index.id) for index in indexes]
        return await self._asked(present, asked)

    async def _asked(self, indexes: Sequence[Index], asked: SearchQuery) -> list[Passage]:
        targets = await self._targets(indexes, asked)
        reader = _choose_reranker(indexes, asked)
        wanted = max(asked.limit, RERANKED_CANDIDATES if reader else 0)
        count = wanted * (1 if asked.expand == "none" else OVERLAP_FACTOR) + OVERFETCH
        while True:
            hits, more = await self._hits(targets, asked, count)
            different = deduplicate(hits)
            if reader:
                tenant = indexes[0].tenant
                different = await rerank(self._models, reader, tenant, asked.query, different)
            found = await self._grown(indexes, different, asked)
            if len(found) >= asked.limit or not more or count >= MAX_CANDIDATES:
                return self._highlighted(found, asked)
            count *= GROWTH_FACTOR

    async def nearest(self, index: Index, vector: bytes, count: int) -> list[Found]:
        """The passages most similar to a vector."""
        asked = SearchQuery("", count, "dense", None, None, "none", False, False, False)
        found, _ = await self._hits([_SearchTarget(index, vector, None)], asked, count)
        return found

    async def _targets(self, indexes: Sequence[Index], asked: SearchQuery) -> list[_SearchTarget]:
        """Those of the indexes in which something can be found."""
        if asked.documents is not None:
            await self._check_known(indexes, asked.documents)
        chosen = [(index, await self._allowed(index, asked)) for index in indexes]
        held = [(index, allowed) for index, allowed in chosen if index.fingerprint]
        some = [(index, allowed) for index, allowed in held if allowed is None or len(allowed)]
        vectors: Mapping[str, bytes] = {}
        if asked.mode != "keyword":
            vectors = await self._vectors([index for index, _ in some], asked.query)
        return [
            _SearchTarget(index, vectors.get(index.id, b""), allowed) for index, allowed in some
        ]

    async def _check_known(self, indexes: Sequence[Index], documents: Sequence[str]) -> None:
        known: set[str] = set()
        for index in indexes:
            known |= await self._store(lookup.known, index.id, documents)
        for document in documents:
            if document not in known:
                # Of one index the error proposes the nearest.
                if len(indexes) == 1:
                    (index,) = indexes
                    await self._store(lookup.document, index.id, index.spec.name, document)
                raise NotFound(
                    f"None of the indexes has a document '{document[:80]}'.",
                    code="document_not_found",
                    details={"field": "documents"},
                )

    async def _allowed(self, index: Index, asked: SearchQuery) -> Sequence[int] | None:
        if asked.documents is None and asked.filter is None:
            return None
        return await self._store(lookup.chosen, index.id, asked.documents, asked.filter)

    async def _vectors(self, indexes: Sequence[Index], query: str) -> dict[str, bytes]:
        """The query's vector for each index, by its id; each model is asked once. Without one is
        an index whose model cannot be had any more: its keywords remain."""
        by_model: dict[str | None, bytes] = {}
        for index in indexes:
            if index.fingerprint not in by_model:
                async with self._moves.serving(index) as embed:
                    vectors = await embed.embed([query], urgent=True) if embed else None
                by_model[index.fingerprint] = bytes(vectors.row(0)) if vectors else b""
        return {index.id: by_model[index.fingerprint] for index in indexes}

    async def _hits(
        self, targets: Sequence[_SearchTarget], asked: SearchQuery, count: int
    ) -> tuple[list[Found], bool]:
        """What is found, best first, and whether more could be by asking for more."""
        lists, more = [], False
        for target in targets:
            found, full = await self._in_one(target, asked, count)
            lists.append(found)
            more = more or full
        return fuse_rankings(
            lists, len({target.index.fingerprint for target in targets}) == 1
        ), more

    async def _in_one(
        self, target: _SearchTarget, asked: SearchQuery, count: int
    ) -> tuple[list[Found], bool]:
        allowed = target.allowed
        header = {
            "query": asked.query,
            "mode": asked.mode if target.vector else "keyword",
            "weight": target.index.spec.weight,
            "limit": max(count, RESCORED_CANDIDATES),
            "vector_bytes": len(target.vector),
            "filtered": allowed is not None,
            "explain": asked.explain,
        }
        # Little-endian, as every machine that runs this is.
        body = target.vector + array("q", allowed or ()).tobytes()
        hits = await self._keeper.search(target.index, header, body)
        index, weight = target.index, 1.0 if asked.mode == "dense" else target.index.spec.weight
        excerpts: Mapping[int, bytes] = {}
        if hits.meaning is not None:
            numbers = [number for number, _ in hits.hits[:RESCORED_CANDIDATES]]
            excerpts = await self._store(lookup.excerpts, index.id, index.space, numbers)
        best = rescore(hits, excerpts, target.vector, weight)[:count]
        numbers = [hit.number for hit in best]
        known = await self._store(lookup.found, index.id, index.spec.name, numbers)
        found = [
            apply_score(known[hit.number], hit, excerpts.get(hit.number), target.vector)
            for hit in best
            if hit.number in known
        ]
        return found, len(hits.hits) >= count

    async def _grown(
        self, indexes: Sequence[Index], hits: Sequence[Found], asked: SearchQuery
    ) -> list[Passage]:
        if asked.expand == "none":
            return [hit.passage for hit in hits[: asked.limit]]
        ids = {index.spec.name: index.id for index in indexes}
        return await self._store(expand_passages, ids, hits, asked.expand, asked.limit)

    def _highlighted(self, passages: list[Passage], asked: SearchQuery) -> list[Passage]:
        if not asked.highlight:
            return passages
        from indexes.derived.tokens import Tokenizer
        from indexes.retrieval.highlights import add_highlights

        self._tokenizer = self._tokenizer or Tokenizer()
        return add_highlights(self._tokenizer, asked.query, passages)


def _choose_reranker(indexes: Sequence[Index], asked: SearchQuery) -> str | None:
    """The model that sorts the best candidates again, if one shall."""
    named = next((index.spec.rerank for index in indexes if index.spec.rerank), None)
    if asked.rerank is False:
        return None
    return named or (RERANK_ROLE if asked.rerank else None)
