"""Cosines between the rows of `Vectors`, without numpy: the server need not import it."""

from __future__ import annotations

import operator

from models.capabilities import Vectors


class Similarity:
    """`near(i, j)` is the cosine of two rows; rows are L2-normalised."""

    def __init__(self, vectors: Vectors) -> None:
        self._numbers = memoryview(vectors.data).cast("f")
        self._width = vectors.dimensions

    def near(self, first: int, second: int) -> float:
        return float(sum(map(operator.mul, self._row(first), self._row(second))))

    def _row(self, number: int) -> memoryview[float]:
        return self._numbers[number * self._width : (number + 1) * self._width]
