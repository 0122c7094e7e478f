"""Which part of a long conversation a model is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def choose_first(counts: Iterable[int], total: int, room: int) -> int:
    """Return the number of the first part of a conversation to show, of `total` parts.

    `counts` are the tokens of the parts, from the last one on; no more of them are read than fit.
    The last ones that fit are shown, but for some of them: while a conversation grows, its first
    part stays the same for about a quarter of the parts shown. Returns `total` where not even the
    last one fits.
    """
    first = total
    for count in counts:
        room -= count
        if room < 0:
            break
        first -= 1
    if first in (0, total):
        return first
    # A power of two, so that the step itself changes seldom.
    step = 1 << (max(1, (total - first) // 4).bit_length() - 1)
    return min(-(-first // step) * step, total - 1)
