"""Vectors of texts and of their parts out of the states of their tokens. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

UNIT = 127
"""What 1.0 becomes in a signed byte."""


def pool_text(states: Floats) -> Floats:
    """Compute the unit vector of a text: the mean of its token states (rows)."""
    summed = states.sum(axis=0, dtype=np.float32)
    vector: Floats = (summed / np.linalg.norm(summed)).astype(np.float32)
    return vector


def pool_spans(
    states: Floats, offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> tuple[Floats, NDArray[np.int8]]:
    """Compute for each span the norm of the sum of its token states, and its vector.

    `offsets` are the characters of each token, in order; special tokens have none (start = end).
    """
    placed = [number for number, (start, end) in enumerate(offsets) if end > start]
    if not placed or not spans:
        return np.zeros(len(spans), np.float32), np.zeros((len(spans), states.shape[1]), np.int8)
    where = np.array([offsets[number] for number in placed])
    span_array = np.array(spans)
    first = np.searchsorted(where[:, 0], span_array[:, 0], "left")
    stop = np.maximum(first, np.searchsorted(where[:, 1], span_array[:, 1], "right"))
    # With sums up to each token, that of any run of tokens is a difference: spans may overlap.
    sums = np.zeros((len(placed) + 1, states.shape[1]), np.float64)
    np.cumsum(states[placed], axis=0, out=sums[1:])
    summed = sums[stop] - sums[first]
    masses = np.linalg.norm(summed, axis=1)
    units = summed / np.where(masses, masses, 1.0)[:, None]
    return masses.astype(np.float32), np.rint(units * UNIT).astype(np.int8)
