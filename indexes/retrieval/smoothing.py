"""What stands around a passage says what it is about: its vector is blended with theirs. Pure.

Measured: see `docs/decisions/0011-retrieval-quality.md`.
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


def smooth_with_neighbors(documents: Sequence[int], vectors: Floats) -> Floats:
    """Each row with `SHARE` of the mean of the rows around it, itself included.

    `documents` names the document of each row; rows of one document stand together, in order.
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
    """The blended vectors of the passages `numbers` out of (number, document, vector) rows in
    order, those of `REACH` passages to each side among them."""
    import numpy as np

    data = b"".join(row[2] for row in rows)
    vectors = np.frombuffer(data, dtype="<f4").reshape(len(rows), -1)
    wanted = np.isin([row[0] for row in rows], numbers)
    return smooth_with_neighbors([row[1] for row in rows], vectors)[wanted].tobytes()
