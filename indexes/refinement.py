"""The best candidates of a search, judged by their excerpts too.

Measured: mean reciprocal rank 0.59 to 0.61, and the answer is in the first three passages for 0.48
of the questions instead of 0.43: see `docs/decisions/0011-retrieval-quality.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexes.excerpts import Window, best_cosines, best_windows
from indexes.records import Found, Quote

CANDIDATES = 50
"""Hits judged again; further ones keep their place."""
SHARE = 0.5
"""Of the best excerpt's cosine in what a passage means; the rest is its own vector's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hit with the part of its score that is its cosine, and its excerpts as stored."""

    found: Found
    meaning: float
    excerpts: bytes


def refined(candidates: Sequence[Candidate], question: bytes, weight: float) -> list[Found]:
    """The hits, best first, their scores made better. `weight` is that of meaning in a score."""
    import numpy as np  # not needed by a server that searches nothing

    vector = np.frombuffer(question, dtype="<f4")
    best = best_cosines(vector, [each.excerpts for each in candidates])
    judged = [_judged(each, cosine, weight) for each, cosine in zip(candidates, best, strict=True)]
    # Of equals the first stays the first.
    return sorted(judged, key=lambda found: -found.passage.score)


def _judged(candidate: Candidate, best: float | None, weight: float) -> Found:
    passage = candidate.found.passage
    if best is None:
        return candidate.found
    gain = weight * SHARE * (best - candidate.meaning)
    why = passage.why and {**passage.why, "excerpt": round(best, 6)}
    return replace(
        candidate.found, passage=replace(passage, score=round(passage.score + gain, 6), why=why)
    )


def quoted(found: Found, excerpts: bytes, question: bytes) -> Found:
    """The hit with the stretches of it that come nearest to the question."""
    import numpy as np

    windows = best_windows(np.frombuffer(question, dtype="<f4"), excerpts)
    quotes = [_quote(found.passage.start, window) for window in windows]
    return replace(found, passage=replace(found.passage, quotes=quotes))


def _quote(start: int, window: Window) -> Quote:
    return Quote(start + window.start, start + window.end, round(window.score, 6))
