"""How the pictures of one request are drawn together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from models.workers.protocol import ran_out_of_memory

Drawn = TypeVar("Drawn")


def in_batches(
    seeds: Sequence[int],
    size: int,
    draw: Callable[[Sequence[int]], Sequence[Drawn]],
    release: Callable[[], None],
) -> Iterator[Drawn]:
    """Yield what `draw` makes of the seeds, `size` of them at a time.

    When memory runs out the batch is halved, once; a second time is the caller's to know.
    """
    left, halved = list(seeds), False
    while left:
        part = left[:size]
        try:
            drawn = draw(part)
        except Exception as error:
            if len(part) == 1 or halved or not ran_out_of_memory(error):
                raise
            drawn = ()
        if drawn:
            yield from drawn
            left = left[len(part) :]
        else:
            # Out here the error is gone, and with it the tensors of its frames.
            release()
            size, halved = len(part) // 2, True
