"""Vectors that other servers send as lists of numbers. Pure."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence

from models.capabilities import Embedded, Parts, Vectors


def unit_row(numbers: Sequence[float]) -> bytes:
    """Scale a vector to length 1, as little-endian float32; zeros stay zeros."""
    row = array("f", numbers)
    norm = math.sqrt(math.fsum(number * number for number in row))
    if norm:
        row = array("f", [number / norm for number in row])
    if sys.byteorder == "big":
        row.byteswap()
    return row.tobytes()


def unit_vectors(dimensions: int, rows: Sequence[Sequence[float]]) -> Vectors:
    """Make a row of each list of numbers."""
    return Vectors.joined(dimensions, [unit_row(row) for row in rows])


def without_parts(vectors: Vectors, parts: Sequence[Sequence[tuple[int, int]]]) -> Embedded:
    """Pair vectors with no parts, for a model that does not show its token states."""
    return Embedded(vectors, [Parts() for _ in parts])
