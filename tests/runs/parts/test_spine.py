"""A long sequence as a tree: all of it is found again, and adding to it writes little."""

from __future__ import annotations

import math

import pytest

from runs.parts.spine import (
    FANOUT,
    Entries,
    NodeRef,
    Piece,
    Spine,
    flatten,
    read_pieces,
    read_refs,
)


class Nodes:
    """Nodes in memory; each is a part of its own."""

    def __init__(self) -> None:
        self.written: dict[NodeRef, Entries] = {}

    def write(self, entries: Entries) -> NodeRef:
        ref = NodeRef(10_000 + len(self.written), 0)
        self.written[ref] = entries
        return ref

    def pieces(self, spine: Spine) -> list[Piece]:
        above: list[NodeRef] = []
        for level in reversed(spine.nodes):
            below = [entry for ref in above for entry in self.written[ref]]
            above = [*below, *level]  # type: ignore[list-item]
        return [*(piece for ref in above for piece in self.written[ref]), *spine.pieces]  # type: ignore[list-item]


@pytest.mark.parametrize("count", [0, 1, FANOUT - 1, FANOUT, FANOUT + 1, FANOUT**2, 1000, 5000])
def test_pieces_are_found_in_their_order(count: int) -> None:
    spine, nodes = Spine(), Nodes()
    pieces = [Piece(part, 0, 0, 1) for part in range(count)]

    for piece in pieces:
        spine.add(piece, nodes.write)

    assert nodes.pieces(spine) == pieces


def test_what_is_open_grows_with_the_height_of_the_tree_alone() -> None:
    spine, nodes = Spine(), Nodes()

    for part in range(10_000):
        spine.add(Piece(part, 0, 0, 1), nodes.write)

        height = math.ceil(math.log(part + 2, FANOUT))
        assert len(spine.pieces) + sum(map(len, spine.nodes)) <= FANOUT * (height + 1)
    assert len(nodes.written) < 10_000 / (FANOUT - 1)


def test_neighbours_in_a_segment_are_one_piece() -> None:
    spine = Spine()

    for piece in (Piece(1, 0, 0, 2), Piece(1, 0, 2, 1), Piece(1, 1, 3, 1), Piece(2, 1, 4, 1)):
        spine.add(piece, Nodes().write)

    assert spine.pieces == [Piece(1, 0, 0, 3), Piece(1, 1, 3, 1), Piece(2, 1, 4, 1)]


def test_entries_are_read_as_they_were_written() -> None:
    pieces, refs = [Piece(7, 1, 2, 3), Piece(9, 0, 0, 1)], [NodeRef(3, 4), NodeRef(9, 5)]

    assert read_pieces(flatten(pieces, 9), 9) == pieces
    assert read_refs(flatten(refs, 9), 9) == refs
