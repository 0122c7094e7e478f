"""Worker side: from a query to the best passages of a derived index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Literal

import numpy as np

from indexes.derived import Derived, Floats, Scores

Mode = Literal["hybrid", "dense", "keyword"]

LEAST_CANDIDATES = 100
CANDIDATES_FOR_EACH = 10


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. `allowed`, passage numbers, is chosen before the search, never after:
    the best of a narrow choice may rank low among all."""

    tokens: list[str]
    vector: Floats | None
    mode: Mode
    weight: float
    limit: int
    allowed: Sequence[int] | None = None

    @property
    def candidates(self) -> int:
        return max(LEAST_CANDIDATES, CANDIDATES_FOR_EACH * self.limit)


def search(index: Derived, queries: Sequence[Query]) -> list[list[tuple[int, float]]]:
    """For each query (passage number, score), best first."""
    if not len(index):
        return [[] for _ in queries]
    return [
        _best(index, _ranked(index, query, dense), query.limit)
        for query, dense in zip(queries, _dense(index, queries), strict=True)
    ]


def _dense(index: Derived, queries: Sequence[Query]) -> list[Scores]:
    """By meaning, for each query; those without a filter in one pass over the vectors."""
    wide = {at: query.vector for at, query in enumerate(queries) if query.allowed is None}
    vectors = {at: vector for at, vector in wide.items() if vector is not None}
    found: dict[int, Scores] = {}
    if vectors:
        limit = max(queries[at].candidates for at in vectors)
        nearest = index.nearest(np.stack(list(vectors.values())), limit)
        found = dict(zip(vectors, nearest, strict=True))
    for at, query in enumerate(queries):
        if query.allowed is not None and query.vector is not None:
            found[at] = index.similarity_to(query.vector, index.positions(query.allowed))
    return [found.get(at, {}) for at in range(len(queries))]


def _ranked(index: Derived, query: Query, dense: Scores) -> Scores:
    if query.mode == "dense":
        return dense
    keyword = _keyword(index, query)
    if query.mode == "keyword" or query.vector is None:
        return keyword
    # A passage found by its words alone has a cosine too: without it, it would rank too low.
    missing = [position for position in keyword if position not in dense]
    dense = dense | index.similarity_to(query.vector, missing)
    return {
        position: query.weight * cosine + (1 - query.weight) * keyword.get(position, 0.0)
        for position, cosine in dense.items()
    }


def _keyword(index: Derived, query: Query) -> Scores:
    if query.allowed is None:
        return index.matching(query.tokens, query.candidates)
    allowed = set(index.positions(query.allowed))
    found = index.matching(query.tokens, len(index))
    return {position: score for position, score in found.items() if position in allowed}


def _best(index: Derived, scores: Scores, limit: int) -> list[tuple[int, float]]:
    # Of equals the one that came first, so that an answer does not depend on the way to it.
    best = nlargest(limit, scores.items(), key=lambda each: (each[1], -each[0]))
    numbers = index.numbers([position for position, _ in best])
    return [(number, score) for number, (_, score) in zip(numbers, best, strict=True)]
