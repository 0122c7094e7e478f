"""Worker side: ranks the passages of a derived index for queries.

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

MAX_COSINES_AT_ONCE = 2**23
"""Over all queries of a batch: 32 MiB of float32."""
SCORE_DECIMALS = 6
"""Beyond them a score holds only how it was summed up; equal passages shall be equal."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. `allowed`, passage numbers, narrows the choice before the ranking.

    Never after it: the best of a narrow choice may rank low among all.
    """

    tokens: list[str]
    vector: Floats | None
    mode: Mode
    weight: float
    limit: int
    allowed: Numbers | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """(passage number, score), best first.

    `meaning` is the cosine in each score, None for keywords alone; `why` says how each score came
    about, if that was asked for.
    """

    hits: list[tuple[int, float]]
    meaning: list[float] | None = None
    why: list[dict[str, Any]] | None = None


def search(index: HybridIndex, queries: Sequence[Query]) -> list[Ranking]:
    """Rank the passages for each query; the queries share passes over the vectors."""
    if not len(index):
        return [Ranking([], [], [] if query.explain else None) for query in queries]
    rows = [None if query.allowed is None else index.rows(query.allowed) for query in queries]
    parts = zip(queries, rows, _cosines(index, queries, rows), strict=True)
    return [_rank(index, query, chosen, cosines) for query, chosen, cosines in parts]


def _cosines(
    index: HybridIndex, queries: Sequence[Query], rows: Sequence[Numbers | None]
) -> Iterator[Scores | None]:
    """Yield each query's cosines; queries over all passages share passes over the vectors."""
    vectors = [None if query.mode == "keyword" else query.vector for query in queries]
    pairs = list(zip(vectors, rows, strict=True))
    unfiltered = _unfiltered_cosines(
        index, [vector for vector, chosen in pairs if vector is not None and chosen is None]
    )
    for vector, chosen in pairs:
        if vector is None:
            yield None
        elif chosen is None:
            yield next(unfiltered)
        else:
            yield index.cosines(vector[None], chosen)[0]


def _unfiltered_cosines(index: HybridIndex, vectors: Sequence[Floats]) -> Iterator[Scores]:
    step = max(1, MAX_COSINES_AT_ONCE // len(index))
    for first in range(0, len(vectors), step):
        yield from index.cosines(np.stack(vectors[first : first + step]))


def _rank(
    index: HybridIndex, query: Query, rows: Numbers | None, cosines: Scores | None
) -> Ranking:
    keywords = None
    if query.mode != "dense":
        keywords = index.keywords(query.tokens)
        keywords = keywords if rows is None else keywords[rows]
    weight = _weight(query, cosines)
    scores = _combine(weight, cosines, keywords)
    # Without a common word a passage is no hit; a cosine may well be negative.
    best = _best(scores, query.limit, 0.0 if cosines is None else -np.inf)
    chosen = best if rows is None else rows[best]
    values = np.round(scores[best].astype(float), SCORE_DECIMALS).tolist()
    hits = list(zip(index.numbers[chosen].tolist(), values, strict=True))
    meaning = None if cosines is None else np.round(cosines[best], SCORE_DECIMALS).tolist()
    if not query.explain:
        return Ranking(hits, meaning)
    terms = index.explain([] if keywords is None else query.tokens, chosen.tolist())
    why = [
        {"dense": _at(cosines, at), "keyword": _at(keywords, at) or 0.0, "weight": weight,
         "terms": shares}
        for at, shares in zip(best.tolist(), terms, strict=True)
    ]  # fmt: skip
    return Ranking(hits, meaning, why)


def _at(scores: Scores | None, at: int) -> float | None:
    return None if scores is None else round(float(scores[at]), SCORE_DECIMALS)


def _weight(query: Query, cosines: Scores | None) -> float:
    """Return the share of meaning in the score."""
    if cosines is None:
        return 0.0
    return 1.0 if query.mode == "dense" else query.weight


def _combine(weight: float, cosines: Scores | None, keywords: Scores | None) -> Scores:
    if cosines is None:
        assert keywords is not None, "a search by meaning has a vector"
        return keywords
    return cosines if keywords is None else weight * cosines + (1 - weight) * keywords


def _best(scores: Scores, limit: int, above: float) -> Numbers:
    """Return where the highest scores above a bound are; among equals, the first ones."""
    bound = above
    if len(scores) > limit:
        # A rounding step lower, so that all that equal the last one once rounded compete for it.
        bound = max(above, np.partition(scores, -limit)[-limit] - 10.0**-SCORE_DECIMALS)
    candidates = np.flatnonzero(scores > bound)
    order = np.argsort(-np.round(scores[candidates], SCORE_DECIMALS), kind="stable")
    return candidates[order[:limit]]
