"""The best candidates of a search, judged by their excerpts too.

Measured: see `docs/decisions/0011-retrieval-quality.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

from indexes.derived.replica_state import Hits
from indexes.records import Found, Quote
from indexes.retrieval.excerpts import ScoredSpan, find_best_spans, score_best_excerpts

RESCORED_CANDIDATES = 50
"""Hits judged again; further ones keep their place."""
EXCERPT_SHARE = 0.5
"""Of the best excerpt's cosine in what a passage means; the rest is its own vector's."""


@dataclass(frozen=True, slots=True)
class ScoredHit:
    """A passage's number with its score and, where that was asked for, why it has it."""

    number: int
    score: float
    why: dict[str, Any] | None = None


def rescore(
    hits: Hits, excerpts: Mapping[int, bytes], question: bytes, weight: float
) -> list[ScoredHit]:
    """The hits, best first, the scores of the best candidates made better by their excerpts.
    `weight` is that of meaning in a score."""
    import numpy as np  # not needed by a server that searches nothing

    plain = [
        ScoredHit(number, score, why)
        for (number, score), why in zip(hits.hits, hits.why or repeat(None), strict=False)
    ]
    if hits.meaning is None:
        return plain
    first = plain[:RESCORED_CANDIDATES]
    stored = [excerpts.get(each.number, b"") for each in first]
    best = score_best_excerpts(np.frombuffer(question, dtype="<f4"), stored)
    better = [
        _add_excerpt(each, own, of_excerpt, weight)
        for each, own, of_excerpt in zip(first, hits.meaning, best, strict=False)
    ]
    # Of equals the first stays the first.
    return [*sorted(better, key=lambda each: -each.score), *plain[RESCORED_CANDIDATES:]]


def _add_excerpt(hit: ScoredHit, meaning: float, best: float | None, weight: float) -> ScoredHit:
    if best is None:
        return hit
    why = hit.why and {**hit.why, "excerpt": round(best, 6)}
    return ScoredHit(
        hit.number, round(hit.score + weight * EXCERPT_SHARE * (best - meaning), 6), why
    )


def apply_score(found: Found, hit: ScoredHit, excerpts: bytes | None, question: bytes) -> Found:
    """A passage as it was judged, with the stretches of it that come nearest to the question."""
    import numpy as np

    quotes: list[Quote] = []
    if excerpts and question:
        windows = find_best_spans(np.frombuffer(question, dtype="<f4"), excerpts)
        quotes = [_build_quote(found.passage.start, window) for window in windows]
    passage = replace(found.passage, score=hit.score, why=hit.why, quotes=quotes)
    return replace(found, passage=passage)


def _build_quote(start: int, window: ScoredSpan) -> Quote:
    return Quote(start + window.start, start + window.end, round(window.score, 6))
