"""A long sequence as a small tree, laid out so that adding to its end rewrites little of it.

The items lie in segments, stored with the checkpoints that added them; a piece names some of one
segment. Every `FANOUT` pieces are closed into a node, every `FANOUT` nodes into a node above. A
spine holds what is not closed yet, at each height: like the digits of a number that counts up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import NamedTuple, TypeAlias

FANOUT = 16
"""Adding a piece writes about half as many pieces, and references, for each height."""


class Piece(NamedTuple):
    """Some consecutive items of a segment: the one in this slot of this part."""

    part: int
    slot: int
    start: int
    size: int


class NodeRef(NamedTuple):
    """A closed node: the one in this slot of this part."""

    part: int
    slot: int


Entries: TypeAlias = list[Piece] | list[NodeRef]
WriteNode: TypeAlias = Callable[[Entries], NodeRef]
"""Stores a node's entries."""


class Spine:
    """The open end of the tree: its pieces, and above them references to nodes by height."""

    def __init__(self, pieces: Iterable[Piece] = (), nodes: Iterable[list[NodeRef]] = ()) -> None:
        self.pieces = list(pieces)
        self.nodes = [list(level) for level in nodes]

    def add(self, piece: Piece, write_node: WriteNode) -> None:
        """Add a piece at the end; what has become full is written as nodes."""
        if self.pieces and (joined := _join(self.pieces[-1], piece)):
            self.pieces[-1] = joined
            return
        self.pieces.append(piece)
        full: Entries = self.pieces
        for height in count():
            if len(full) < FANOUT:
                return
            ref = write_node(full.copy())
            full.clear()
            if height == len(self.nodes):
                self.nodes.append([])
            self.nodes[height].append(ref)
            full = self.nodes[height]


def _join(first: Piece, second: Piece) -> Piece | None:
    """Return both pieces as one where they lie side by side."""
    if first[:2] == second[:2] and first.start + first.size == second.start:
        return first._replace(size=first.size + second.size)
    return None


def flatten(entries: Sequence[Sequence[int]], part: int) -> list[int]:
    """Write entries as numbers for a row of `part`; parts are counted back from it."""
    return [number for own, *rest in entries for number in (part - own, *rest)]


def read_pieces(numbers: Sequence[int], part: int) -> list[Piece]:
    """Read what `flatten` wrote of pieces."""
    four = iter(numbers)
    return [Piece(part - back, *rest) for back, *rest in zip(four, four, four, four, strict=True)]


def read_refs(numbers: Sequence[int], part: int) -> list[NodeRef]:
    """Read what `flatten` wrote of references to nodes."""
    two = iter(numbers)
    return [NodeRef(part - back, slot) for back, slot in zip(two, two, strict=True)]
