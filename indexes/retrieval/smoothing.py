"""Mixes a passage's vector with those around it: they say what it is about. Pure.

Measured in `docs/decisions/0011-retrieval-quality.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NEIGHBOR_REACH = 8
"""Passages to each side, of the same document."""
NEIGHBOR_SHARE = 0.4
"""Of the mean of the passages around in a mixed vector; the rest is its own."""


def smooth_with_neighbors(documents: Sequence[int], vectors: Floats) -> Floats:
    """Mix each row with `NEIGHBOR_SHARE` of the mean of the rows around it, itself included.

    `vectors` is of shape (passages, dimensions); `documents` names the document of each row; rows
    of one document stand together, in order. The results are no unit vectors.
    """
    import numpy as np

    count = len(vectors)
    names = np.asarray(documents)
    edges = np.flatnonzero(np.diff(names)) + 1
    starts = np.concatenate([[0], edges]).astype(np.int64)
    ends = np.concatenate([edges, [count]]).astype(np.int64)
    own = np.repeat(np.arange(len(starts)), ends - starts)
    at = np.arange(count)
    first = np.maximum(starts[own], at - NEIGHBOR_REACH)
    last = np.minimum(ends[own], at + NEIGHBOR_REACH + 1)
    sums = np.zeros((count + 1, vectors.shape[1]), np.float64)
    np.cumsum(vectors, axis=0, dtype=np.float64, out=sums[1:])
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    mixed: Floats = ((1 - NEIGHBOR_SHARE) * vectors + NEIGHBOR_SHARE * means).astype(np.float32)
    return mixed


def smooth_rows(rows: Sequence[tuple[int, int, bytes]], numbers: Sequence[int]) -> bytes:
    """Return the smoothed vectors of the passages `numbers`, as little-endian float32.

    `rows` are (number, document, vector) in order, those of `NEIGHBOR_REACH` passages to each side
    among them.
    """
    import numpy as np

    data = b"".join(row[2] for row in rows)
    vectors = np.frombuffer(data, dtype="<f4").reshape(len(rows), -1)
    chosen = np.isin([row[0] for row in rows], numbers)
    return smooth_with_neighbors([row[1] for row in rows], vectors)[chosen].tobytes()
