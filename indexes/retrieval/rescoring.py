"""Scores the best candidates of a search once more, by their excerpts too. Pure.

A candidate's meaning becomes the mean of its vector's cosine and that of its best excerpt; its
keyword score stays. Measured in `docs/decisions/0011-retrieval-quality.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

from indexes.derived.worker_client import Hits
from indexes.records import PassageHit, Quote
from indexes.retrieval.excerpts import ScoredSpan, find_best_spans, score_best_excerpts

RESCORED_CANDIDATES = 50
"""Hits scored again; further ones keep their rank."""
EXCERPT_SHARE = 0.5
"""Of the best excerpt's cosine in what a passage means; the rest is its own vector's."""


@dataclass(frozen=True, slots=True)
class ScoredHit:
    """A passage's number with its score and, where it was asked to explain, why it has it."""

    number: int
    score: float
    why: dict[str, Any] | None = None


def rescore(
    hits: Hits, excerpts: Mapping[int, bytes], question: bytes, weight: float
) -> list[ScoredHit]:
    """Sort the hits, best first, after adding their excerpts to the scores of the best candidates.

    `excerpts` are packed, by passage number; `question` is a unit vector of little-endian float32;
    `weight` is that of meaning in a score, 0 to 1. Hits of keywords alone stay as they are.
    """
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


def apply_score(
    candidate: PassageHit, hit: ScoredHit, excerpts: bytes | None, question: bytes
) -> PassageHit:
    """Return a passage with its score and the stretches of it that come nearest to the question."""
    import numpy as np

    quotes: list[Quote] = []
    if excerpts and question:
        windows = find_best_spans(np.frombuffer(question, dtype="<f4"), excerpts)
        quotes = [_build_quote(candidate.passage.start, window) for window in windows]
    passage = replace(candidate.passage, score=hit.score, why=hit.why, quotes=quotes)
    return replace(candidate, passage=passage)


def _build_quote(start: int, window: ScoredSpan) -> Quote:
    return Quote(start + window.start, start + window.end, round(window.score, 6))
