"""Reads values out of parts: in the reading thread, each part once.

Invariant: a part never changes, so what was read of one stays right while the reader lives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import ormsgpack
from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.parts.spine import NodeRef, Piece, Spine, read_pieces, read_refs

_SELECT = (
    "SELECT part_id, data FROM parts WHERE thread_id = ? "
    "AND part_id IN (SELECT value FROM json_each(?))"
)


class PartsMissingError(Exception):
    """A state refers to parts that are not there: its thread was deleted meanwhile."""


class PartReader:
    """The parts of one thread, read where they are needed. Its methods block."""

    def __init__(self, key: str, serde: SerializerProtocol) -> None:
        self._connection: sqlite3.Connection | None = None
        self._key = key
        self._serde = serde
        self._slots: dict[int, list[Any]] = {}
        self._segments: dict[NodeRef, list[Any]] = {}

    def on(self, connection: sqlite3.Connection) -> PartReader:
        """Read with this connection from now on."""
        self._connection = connection
        return self

    def read_spine(self, root: NodeRef) -> Spine:
        """Read the open end of a sequence."""
        self._load([root.part])
        pieces, *nodes = self._slot(root)
        return Spine(read_pieces(pieces, root.part), [read_refs(refs, root.part) for refs in nodes])

    def read_pieces(self, spine: Spine) -> list[Piece]:
        """Read all pieces of a sequence, in order."""
        refs: list[NodeRef] = []
        # From the top, where the beginning of the sequence is: one query for each height.
        for level in reversed(spine.nodes):
            refs = [*self._read_refs(refs), *level]
        self._load(ref.part for ref in refs)
        below = [piece for ref in refs for piece in read_pieces(self._slot(ref), ref.part)]
        return [*below, *spine.pieces]

    def read_items(self, pieces: Sequence[Piece]) -> list[Any]:
        """Read the items of pieces. Those that are mutable are the reader's own, not the caller's:
        they are shared by what it reads.
        """
        self._load(piece.part for piece in pieces)
        items: list[Any] = []
        for part, slot, start, size in pieces:
            items += self.read_segment(NodeRef(part, slot))[start : start + size]
        return items

    def read_segment(self, at: NodeRef) -> list[Any]:
        """Read all values of a segment."""
        segment = self._segments.get(at)
        if segment is None:
            self._load([at.part])
            segment = self._segments[at] = self._serde.loads_typed(("msgpack", self._slot(at)))
        return segment

    def _read_refs(self, refs: Sequence[NodeRef]) -> list[NodeRef]:
        self._load(ref.part for ref in refs)
        return [below for ref in refs for below in read_refs(self._slot(ref), ref.part)]

    def _slot(self, at: NodeRef) -> Any:
        return self._slots[at.part][at.slot]

    def _load(self, parts: Iterable[int]) -> None:
        missing = {part for part in parts if part not in self._slots}
        if not missing:
            return
        assert self._connection
        numbers = orjson.dumps(list(missing)).decode()
        for part, data in self._connection.execute(_SELECT, (self._key, numbers)):
            self._slots[part] = ormsgpack.unpackb(data)
        if not missing <= self._slots.keys():
            raise PartsMissingError(f"Thread {self._key} lacks parts of its state.")
