"""Sorts the best candidates of a search again, by a model that reads query and text together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from indexes.ingestion.embedding import Embedders
from indexes.records import PassageHit

RERANKED_CANDIDATES = 30
"""How many are read again: reading is slow."""
RERANK_ROLE = "rerank"
"""Who sorts where the index names no model and the search asks for it."""


async def rerank(
    models: Embedders, name: str, tenant: str, query: str, hits: Sequence[PassageHit]
) -> list[PassageHit]:
    """Sort the first candidates anew, each with the model's score as `why["rerank"]`.

    Those that were not read follow in their order. Waits for a lease. Raises what leasing raises.
    """
    read, rest = hits[:RERANKED_CANDIDATES], hits[RERANKED_CANDIDATES:]
    if not read:
        return []
    async with models.lease(name, "rerank", tenant=tenant) as lease:
        scores = await lease.rerank.rerank(query, [hit.passage.text for hit in read])
    order = sorted(range(len(read)), key=lambda at: -scores[at])
    return [_with_score(read[at], scores[at]) for at in order] + list(rest)


def _with_score(hit: PassageHit, score: float) -> PassageHit:
    why = {**(hit.passage.why or {}), "rerank": score}
    return replace(hit, passage=replace(hit.passage, why=why))
