"""What is stored of a list: its items in memory, where each of them lies, and what is new in it.

Invariant: `spine` and `origins` name what was written, or is written with the checkpoint for which
the list was updated; after an error in an update the object is not used any more.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain, groupby
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.parts.chunks import CHUNK_ITEMS, FROZEN, Chunk, make_chunk
from runs.parts.part_writer import PartWriter, is_large
from runs.parts.spine import NodeRef, Piece, Spine


class Origins:
    """For each item of a list the segment in which it lies, and its place there."""

    def __init__(self) -> None:
        self._parts, self._slots, self._offsets = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, piece: Piece) -> None:
        self._parts.extend([piece.part] * piece.size)
        self._slots.extend([piece.slot] * piece.size)
        self._offsets.extend(range(piece.start, piece.start + piece.size))

    def clone(self) -> Origins:
        origins = Origins()
        origins._parts, origins._slots = self._parts[:], self._slots[:]
        origins._offsets = self._offsets[:]
        return origins

    def at(self, position: int) -> Piece:
        return Piece(self._parts[position], self._slots[position], self._offsets[position], 1)


class StoredItems:
    """A stored list, as the last checkpoint has it."""

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde
        self._chunks: list[Chunk] = []
        self._origins = Origins()
        self._spine = Spine()
        self.root: NodeRef | None = None
        self.size_bytes = 0

    @classmethod
    def load(
        cls,
        serde: SerializerProtocol,
        root: NodeRef,
        spine: Spine,
        pieces: Sequence[Piece],
        items: Sequence[Any],
    ) -> StoredItems:
        """Make it of what was read."""
        stored = cls(serde)
        for piece in pieces:
            stored._origins.add(piece)
        stored._spine, stored.root = spine, root
        stored._set_chunks(0, items)
        return stored

    def clone(self) -> StoredItems:
        """Return a list of its own that knows the same; either may be updated."""
        stored = StoredItems(self._serde)
        # Chunks do not change: another one is put in the place of one whose items have.
        stored._chunks, stored._origins = self._chunks[:], self._origins.clone()
        stored._spine = Spine(self._spine.pieces, self._spine.nodes)
        stored.root, stored.size_bytes = self.root, self.size_bytes
        return stored

    def __len__(self) -> int:
        return len(self._origins)

    def copy(self) -> list[Any]:
        """Return the items as they are stored; those that can be changed are the caller's own."""
        return list(chain.from_iterable(chunk.copy() for chunk in self._chunks))

    def holds(self, items: Sequence[Any]) -> bool:
        """Return whether just these items are stored."""
        return len(items) == len(self) and self._count_common(items) == len(self)

    def update(self, items: Sequence[Any], writer: PartWriter) -> None:
        """Write what is new in the list. Raises what the serializer raises."""
        common = self._count_common(items)
        if common == len(self) == len(items) and self.root is not None:
            return
        if common == len(self):
            self._append(items[common:], writer)
        else:
            self._rearrange(items, common, writer)
        self.root = writer.write_root(self._spine)
        self._set_chunks(common, items)

    def _count_common(self, items: Sequence[Any]) -> int:
        """Count the items at the beginning that are stored as they are."""
        start = 0
        for number, chunk in enumerate(self._chunks):
            own = items[start : start + len(chunk)]
            if len(own) < len(chunk) or not chunk.holds(own):
                equal = self._count_equal(chunk, own)
                if equal < len(chunk):
                    return start + equal
                # Other objects that are stored alike: the next look at them is a quick one.
                self._chunks[number] = make_chunk(own, self._serde)
            start += len(chunk)
        return start

    def _count_equal(self, chunk: Chunk, items: Sequence[Any]) -> int:
        pairs = zip(map(self._key, chunk.copy()), map(self._key, items), strict=False)
        different = (at for at, (ours, own) in enumerate(pairs) if ours != own)
        return next(different, min(len(chunk), len(items)))

    def _append(self, items: Sequence[Any], writer: PartWriter) -> None:
        for large, stretch in groupby(items, is_large):
            if large:
                for text in stretch:
                    self._add(Piece(*writer.write_text(text), 0, 1), writer)
            else:
                small = list(stretch)
                slot = writer.add_segment(writer.pack(small))
                self._add(Piece(writer.part, slot, 0, len(small)), writer)

    def _add(self, piece: Piece, writer: PartWriter) -> None:
        self._origins.add(piece)
        self._spine.add(piece, writer.write_node)

    def _rearrange(self, items: Sequence[Any], common: int, writer: PartWriter) -> None:
        """Lay the list out anew: items that were in it are referred to, wherever they were."""
        before, positions = self._origins, self._find(items, common)
        self._origins, self._spine = Origins(), Spine()
        fresh: list[Any] = []
        for item, position in zip(items, positions, strict=True):
            if position is None:
                fresh.append(item)
                continue
            self._append(fresh, writer)
            fresh = []
            self._add(before.at(position), writer)
        self._append(fresh, writer)

    def _find(self, items: Sequence[Any], common: int) -> list[int | None]:
        """Return for each item where it was in the list; None for a new one."""
        ours = self.copy()
        at_key: dict[Any, int] = {}
        for position in range(common, len(ours)):
            at_key.setdefault(self._key(ours[position]), position)
        return [
            *range(common),
            *(at_key.get(self._key(item)) for item in items[common:]),
        ]

    def _key(self, item: Any) -> tuple[Any, Any]:
        """Return what is equal for items that are stored alike."""
        # Not floats: of these 0.0 and -0.0 are equal.
        if type(item) in FROZEN and type(item) is not float:
            return type(item), item
        return self._serde.dumps_typed(item)

    def _set_chunks(self, first: int, items: Sequence[Any]) -> None:
        """Note the items from number `first` on as stored."""
        unchanged = first // CHUNK_ITEMS
        self._chunks = self._chunks[:unchanged]
        for start in range(unchanged * CHUNK_ITEMS, len(items), CHUNK_ITEMS):
            self._chunks.append(make_chunk(items[start : start + CHUNK_ITEMS], self._serde))
        self.size_bytes = sum(chunk.size_bytes for chunk in self._chunks) + 32 * len(items)
