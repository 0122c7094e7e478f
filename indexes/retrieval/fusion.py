"""Makes one list of several: hits of several indexes merged, hits of the same text once. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from indexes.records import Copy, PassageHit

RANK_OFFSET = 60
"""The k of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): how much less a first
rank weighs than it would alone.
"""
MAX_COPIES = 20
"""How many other places of the same text a hit names."""


def fuse_rankings(lists: Sequence[list[PassageHit]], comparable: bool) -> list[PassageHit]:
    """Merge the hits of several indexes, best first; each keeps its own score.

    Scores are `comparable` where one model made them all; else ranks decide, by 1 / (60 + rank).
    Each text is in one list, so that nothing is summed.
    """
    if len(lists) == 1:
        return lists[0]
    ranked = [
        (hit.passage.score if comparable else 1 / (RANK_OFFSET + rank), hit)
        for hits in lists
        for rank, hit in enumerate(hits)
    ]
    return [hit for _, hit in sorted(ranked, key=lambda each: -each[0])]


def deduplicate(hits: Sequence[PassageHit]) -> list[PassageHit]:
    """Drop the hits whose text stood in a better one, which names them in `also`."""
    alike: dict[bytes, list[PassageHit]] = defaultdict(list)
    for hit in hits:
        alike[hit.digest].append(hit)
    return [_with_copies(first, rest) for first, *rest in alike.values()]


def _with_copies(hit: PassageHit, others: Sequence[PassageHit]) -> PassageHit:
    if not others:
        return hit
    passages = [other.passage for other in others[:MAX_COPIES]]
    also = [Copy(p.index, p.document, p.title, p.source, p.start, p.end) for p in passages]
    return replace(hit, passage=replace(hit.passage, also=also))
