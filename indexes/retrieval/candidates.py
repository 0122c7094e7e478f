"""Candidates of a search: what the index worker finds, rescored by excerpts, fused over indexes.

Texts are read from storage after the worker has answered, so a hit may have been deleted meanwhile.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from indexes.derived.synchronizer import IndexSynchronizer
from indexes.derived.worker_client import Hits
from indexes.records import PassageHit
from indexes.retrieval import completeness
from indexes.retrieval.completeness import Gap
from indexes.retrieval.fusion import fuse_rankings
from indexes.retrieval.query import SearchQuery
from indexes.retrieval.rescoring import RESCORED_CANDIDATES, apply_score, rescore
from indexes.retrieval.targets import SearchTarget
from indexes.storage import lookup
from indexes.storage.store import Store


class Candidates(NamedTuple):
    """Hits, best first; `may_have_more` says that asking for more could find more.

    `gaps` say what the hits may lack.
    """

    hits: list[PassageHit]
    may_have_more: bool
    gaps: Sequence[Gap] = ()


class CandidateSearch:
    """Finds candidates in targets. It holds nothing between searches."""

    def __init__(self, store: Store, synchronizer: IndexSynchronizer) -> None:
        self._store = store
        self._synchronizer = synchronizer

    async def search(
        self, targets: Sequence[SearchTarget], query: SearchQuery, count: int
    ) -> Candidates:
        """Search the targets one after the other, and fuse their rankings."""
        by_target = [await self._search_one(target, query, count) for target in targets]
        one_model = len({target.index.fingerprint for target in targets}) == 1
        hits = fuse_rankings([each.hits for each in by_target], comparable=one_model)
        gaps = [gap for each in by_target for gap in each.gaps]
        return Candidates(hits, any(each.may_have_more for each in by_target), gaps)

    async def _search_one(self, target: SearchTarget, query: SearchQuery, count: int) -> Candidates:
        """Return the rescored hits of one index, those that are still stored."""
        index, hits = target.index, await self._ask_worker(target, query, count)
        excerpts: Mapping[int, bytes] = {}
        if hits.meaning is not None:
            numbers = [number for number, _ in hits.hits[:RESCORED_CANDIDATES]]
            excerpts = await self._store(lookup.get_excerpts, index.id, index.space, numbers)
        weight = 1.0 if query.mode == "dense" else index.spec.weight
        # Arithmetic of numpy, which the first search imports: in threads.
        rescored = await asyncio.to_thread(rescore, hits, excerpts, target.vector, weight)
        rescored = rescored[:count]
        numbers = [hit.number for hit in rescored]
        stored = await self._store(lookup.get_passages, index.id, index.spec.name, numbers)
        passages = await asyncio.to_thread(
            lambda: [
                apply_score(stored[hit.number], hit, excerpts.get(hit.number), target.vector)
                for hit in rescored
                if hit.number in stored
            ]
        )
        return Candidates(passages, len(hits.hits) >= count, _list_gaps(target, query, hits))

    async def _ask_worker(self, target: SearchTarget, query: SearchQuery, count: int) -> Hits:
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


def _list_gaps(target: SearchTarget, query: SearchQuery, hits: Hits) -> list[Gap]:
    """List what the hits of one index may lack."""
    name, gaps = target.index.spec.name, []
    if hits.searchable_share < 1:
        gaps.append(completeness.rebuilding(name, hits.searchable_share))
    if query.mode != "keyword" and not target.vector:
        gaps.append(completeness.no_embedder(name))
    return gaps
