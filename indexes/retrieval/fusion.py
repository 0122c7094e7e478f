"""Lists of hits made one: those of several indexes merged, those of the same words folded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from indexes.records import Copy, Found

RANK_OFFSET = 60
"""Of reciprocal ranks: how much less a first place weighs than it would alone."""
MAX_COPIES = 20


def fuse_rankings(lists: Sequence[list[Found]], comparable: bool) -> list[Found]:
    """The hits of several indexes, best first: by score where one model made them all, else by
    their ranks. Each keeps its own score."""
    if len(lists) == 1:
        return lists[0]
    ranked = [
        (hit.passage.score if comparable else 1 / (RANK_OFFSET + rank), hit)
        for hits in lists
        for rank, hit in enumerate(hits)
    ]
    return [hit for _, hit in sorted(ranked, key=lambda each: -each[0])]


def deduplicate(hits: Sequence[Found]) -> list[Found]:
    """The hits without those whose text stood in a better one, which names them in `also`."""
    alike: dict[bytes, list[Found]] = defaultdict(list)
    for hit in hits:
        alike[hit.digest].append(hit)
    return [_with_copies(first, rest) for first, *rest in alike.values()]


def _with_copies(hit: Found, others: Sequence[Found]) -> Found:
    if not others:
        return hit
    passages = [other.passage for other in others[:MAX_COPIES]]
    also = [Copy(p.index, p.document, p.title, p.source, p.start, p.end) for p in passages]
    return replace(hit, passage=replace(hit.passage, also=also))
