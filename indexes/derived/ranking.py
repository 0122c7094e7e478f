"""Worker side: from queries to the best passages of a derived index.

Every passage is scored, by meaning and by words, and only then are the best chosen: nothing that
a candidate list would have cut off is missed, and an answer does not depend on the way to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from indexes.derived.hybrid_index import Floats, HybridIndex, Numbers
from indexes.derived.keywords import Scores

Mode = Literal["hybrid", "dense", "keyword"]

TOGETHER = 2**23
"""Cosines computed at once, over all queries of a batch: 32 MiB."""
DECIMALS = 6
"""Beyond them a score holds only how it was summed up; equal passages shall be equal."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. `allowed`, passage numbers, is chosen before the search, never after:
    the best of a narrow choice may rank low among all."""

    tokens: list[str]
    vector: Floats | None
    mode: Mode
    weight: float
    limit: int
    allowed: Numbers | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """(passage number, score), best first; `meaning` the part of each score that is its cosine;
    `why` each has its score, where that was asked for."""

    hits: list[tuple[int, float]]
    meaning: list[float] | None = None
    why: list[dict[str, Any]] | None = None


def search(index: HybridIndex, queries: Sequence[Query]) -> list[Found]:
    """What each query finds."""
    if not len(index):
        return [Found([], [], [] if query.explain else None) for query in queries]
    rows = [None if query.allowed is None else index.rows(query.allowed) for query in queries]
    found = zip(queries, rows, _cosines(index, queries, rows), strict=True)
    return [_found(index, query, chosen, cosines) for query, chosen, cosines in found]


def _cosines(
    index: HybridIndex, queries: Sequence[Query], rows: Sequence[Numbers | None]
) -> Iterator[Scores | None]:
    """By meaning, for each query; those over all passages share passes over the vectors."""
    vectors = [None if query.mode == "keyword" else query.vector for query in queries]
    pairs = list(zip(vectors, rows, strict=True))
    wide = _wide(
        index, [vector for vector, chosen in pairs if vector is not None and chosen is None]
    )
    for vector, chosen in pairs:
        if vector is None:
            yield None
        elif chosen is None:
            yield next(wide)
        else:
            yield index.cosines(vector[None], chosen)[0]


def _wide(index: HybridIndex, vectors: Sequence[Floats]) -> Iterator[Scores]:
    step = max(1, TOGETHER // len(index))
    for first in range(0, len(vectors), step):
        yield from index.cosines(np.stack(vectors[first : first + step]))


def _found(index: HybridIndex, query: Query, rows: Numbers | None, cosines: Scores | None) -> Found:
    keywords = None
    if query.mode != "dense":
        keywords = index.keywords(query.tokens)
        keywords = keywords if rows is None else keywords[rows]
    weight = _weight(query, cosines)
    scores = _blended(weight, cosines, keywords)
    places = _best(scores, query.limit, 0.0 if cosines is None else -np.inf)
    chosen = places if rows is None else rows[places]
    values = np.round(scores[places].astype(float), DECIMALS).tolist()
    hits = list(zip(index.numbers[chosen].tolist(), values, strict=True))
    meaning = None if cosines is None else np.round(cosines[places], DECIMALS).tolist()
    if not query.explain:
        return Found(hits, meaning)
    terms = index.explained([] if keywords is None else query.tokens, chosen.tolist())
    why = [
        {"dense": _at(cosines, place), "keyword": _at(keywords, place) or 0.0, "weight": weight,
         "terms": shares}
        for place, shares in zip(places.tolist(), terms, strict=True)
    ]  # fmt: skip
    return Found(hits, meaning, why)


def _at(scores: Scores | None, place: int) -> float | None:
    return None if scores is None else round(float(scores[place]), DECIMALS)


def _weight(query: Query, cosines: Scores | None) -> float:
    """The share of meaning in the score."""
    if cosines is None:
        return 0.0
    return 1.0 if query.mode == "dense" else query.weight


def _blended(weight: float, cosines: Scores | None, keywords: Scores | None) -> Scores:
    if cosines is None:
        assert keywords is not None, "a search by meaning has a vector"
        return keywords
    return cosines if keywords is None else weight * cosines + (1 - weight) * keywords


def _best(scores: Scores, limit: int, above: float) -> Numbers:
    """The places of the highest scores above a bound; of equals the one that came first."""
    least = above
    if len(scores) > limit:
        least = max(above, np.partition(scores, -limit)[-limit] - 10.0**-DECIMALS)
    places = np.flatnonzero(scores > least)
    order = np.argsort(-np.round(scores[places], DECIMALS), kind="stable")
    return places[order[:limit]]
