"""What one checkpoint adds to the parts of its thread: one row of the table `parts`.

A row's data is a list of slots: segments (lists of values as LangGraph's serializer writes them),
nodes and roots (numbers, as `spine` lays them out).
"""

from __future__ import annotations

import time
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.parts.spine import Entries, NodeRef, Spine, flatten

TICK_NS = 100_000
"""Parts are numbered by the time in ticks of 0.1 ms, which no process outruns."""
EPOCH_TICKS = 17_672_256_000_000
"""The first of January 2026: numbers are smaller since then."""


LARGE_CHARACTERS = 4096
"""A text of so many has a segment of its own, to which all that hold it refer."""


def is_large(value: Any) -> bool:
    """Return whether a value is a large text."""
    return type(value) in (str, bytes) and len(value) >= LARGE_CHARACTERS


class PartNumbers:
    """Gives parts their numbers, each once in a process and larger than those of processes before.

    Two processes would give one thread the same number only with a clock that was set back, to the
    very tick; the database refuses the second one.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last = max(self._last + 1, time.time_ns() // TICK_NS - EPOCH_TICKS)
        return self._last


class LargeTexts:
    """Large texts of the last checkpoint, as objects, and the segments that each has for itself.

    An input that becomes a channel's value, or goes from one to another, is stored once.
    """

    def __init__(self) -> None:
        self._before: dict[int, tuple[str | bytes, NodeRef]] = {}
        self._now: dict[int, tuple[str | bytes, NodeRef]] = {}

    def begin(self) -> None:
        """Begin a checkpoint: what this one does not hold is forgotten with the next."""
        self._before, self._now = self._now, {}

    def find(self, text: str | bytes) -> NodeRef | None:
        entry = self._now.get(id(text)) or self._before.get(id(text))
        if entry is None:
            return None
        self._now[id(text)] = entry
        return entry[1]

    def note(self, text: str | bytes, at: NodeRef) -> None:
        # With the text itself: while it is held here, no other object has its id.
        self._now[id(text)] = (text, at)


class PartWriter:
    """Collects the slots of one part."""

    def __init__(
        self, serde: SerializerProtocol, numbers: PartNumbers, texts: LargeTexts | None = None
    ) -> None:
        self._serde = serde
        self._slots: list[bytes | list[Any]] = []
        self._texts = texts or LargeTexts()
        self._texts.begin()
        self.part = numbers.next()

    def __bool__(self) -> bool:
        """Return whether there is anything to store."""
        return bool(self._slots)

    def pack(self, values: list[Any]) -> bytes:
        """Encode a segment. Raises `TypeError` or `ValueError` for what cannot be encoded."""
        _, data = self._serde.dumps_typed(values)
        return data

    def add_segment(self, packed: bytes) -> int:
        """Add an encoded segment and return its slot."""
        return self._add(packed)

    def write_text(self, text: str | bytes) -> NodeRef:
        """Add a text as a segment of its own, or return where it lies already."""
        at = self._texts.find(text)
        if at is None:
            at = NodeRef(self.part, self.add_segment(self.pack([text])))
            if is_large(text):
                self._texts.note(text, at)
        return at

    def write_node(self, entries: Entries) -> NodeRef:
        """Add a closed node."""
        return NodeRef(self.part, self._add(flatten(entries, self.part)))

    def write_root(self, spine: Spine) -> NodeRef:
        """Add the open end of a sequence, by which it is found."""
        levels = [flatten(spine.pieces, self.part)]
        levels += [flatten(refs, self.part) for refs in spine.nodes]
        return NodeRef(self.part, self._add(levels))

    def data(self) -> bytes:
        """Return the row's data."""
        return ormsgpack.packb(self._slots)

    def _add(self, slot: bytes | list[Any]) -> int:
        self._slots.append(slot)
        return len(self._slots) - 1
