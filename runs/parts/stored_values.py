"""What is stored of the value of one channel: a text, a sequence, or a value of another kind.

Small values stand in the checkpoint itself; these functions and classes are about large ones.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal, Protocol

from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.parts.part_reader import PartReader
from runs.parts.part_writer import PartWriter
from runs.parts.reference import Reference
from runs.parts.spine import NodeRef
from runs.parts.stored_items import StoredItems

MIN_BYTES = 512
"""What is smaller stands in the checkpoint: a reference takes 20 bytes, a part of its own 150."""


class StoredValue(Protocol):
    """A large value as it is stored."""

    @property
    def reference(self) -> Reference: ...

    @property
    def size_bytes(self) -> int: ...

    def update(self, value: Any, writer: PartWriter) -> None:
        """Write what is new in the value. Raises what the serializer raises."""
        ...

    def holds(self, value: Any) -> bool:
        """Return whether just this value is stored."""
        ...

    def copy(self) -> Any:
        """Return the value; what of it can be changed is the caller's own."""
        ...

    def clone(self) -> StoredValue:
        """Return an object of its own that knows the same; either may be updated."""
        ...


class StoredText:
    """A text, or bytes."""

    def __init__(self, value: str | bytes, at: NodeRef | None = None) -> None:
        self._value = value
        self._at = at

    @property
    def reference(self) -> Reference:
        assert self._at
        return Reference("value", *self._at)

    @property
    def size_bytes(self) -> int:
        return len(self._value)

    def update(self, value: Any, writer: PartWriter) -> None:
        if self._at is None or not self.holds(value):
            self._at = writer.write_text(value)
            self._value = value

    def holds(self, value: Any) -> bool:
        return type(value) is type(self._value) and bool(value == self._value)

    def copy(self) -> str | bytes:
        return self._value

    def clone(self) -> StoredText:
        return StoredText(self._value, self._at)


class StoredSequence:
    """A list, or a dict as a list of its names and values in turn."""

    def __init__(self, kind: Literal["list", "dict"], items: StoredItems) -> None:
        self.kind: Literal["list", "dict"] = kind
        self._items = items

    def __len__(self) -> int:
        return len(self._items) // (1 if self.kind == "list" else 2)

    @property
    def reference(self) -> Reference:
        assert self._items.root
        return Reference(self.kind, *self._items.root)

    @property
    def size_bytes(self) -> int:
        return self._items.size_bytes

    def update(self, value: Any, writer: PartWriter) -> None:
        self._items.update(self._lay_out(value), writer)

    def holds(self, value: Any) -> bool:
        if _kind_of(value) != self.kind or len(value) != len(self):
            return False
        return self._items.holds(self._lay_out(value))

    def copy(self) -> list[Any] | dict[Any, Any]:
        items = self._items.copy()
        return items if self.kind == "list" else _as_dict(items)

    def clone(self) -> StoredSequence:
        return StoredSequence(self.kind, self._items.clone())

    def _lay_out(self, value: Any) -> list[Any]:
        return value if self.kind == "list" else list(chain.from_iterable(value.items()))


class StoredObject:
    """A value of any other kind, as LangGraph's serializer writes it."""

    def __init__(
        self, encoded: bytes, serde: SerializerProtocol, at: NodeRef | None = None
    ) -> None:
        self._encoded = encoded
        self._serde = serde
        self._at = at

    @property
    def reference(self) -> Reference:
        assert self._at
        return Reference("value", *self._at)

    @property
    def size_bytes(self) -> int:
        return len(self._encoded)

    def update(self, value: Any, writer: PartWriter) -> None:
        encoded = writer.pack([value])
        if self._at is None or encoded != self._encoded:
            self._at = NodeRef(writer.part, writer.add_segment(encoded))
            self._encoded = encoded

    def holds(self, value: Any) -> bool:
        return self._serde.dumps_typed([value]) == ("msgpack", self._encoded)

    def copy(self) -> Any:
        return self._serde.loads_typed(("msgpack", self._encoded))[0]

    def clone(self) -> StoredObject:
        return StoredObject(self._encoded, self._serde, self._at)


_SMALL = (bool, int, float, type(None))


def store(
    value: Any, known: StoredValue | None, writer: PartWriter, serde: SerializerProtocol
) -> StoredValue | None:
    """Write what is new in a channel's value, of which `known` was stored before.

    Returns what is stored now; None for a value that is to stand in the checkpoint.
    """
    stored = _choose(value, known, writer, serde)
    if stored is not None:
        stored.update(value, writer)
    return stored


def load(reference: Reference, reader: PartReader, serde: SerializerProtocol) -> StoredValue:
    """Read a value, and where it lies. Blocks."""
    at = NodeRef(reference.part, reference.slot)
    if reference.kind == "value":
        [value] = reader.read_segment(at)
        if isinstance(value, str | bytes):
            return StoredText(value, at)
        return StoredObject(serde.dumps_typed([value])[1], serde, at)
    spine = reader.read_spine(at)
    pieces = reader.read_pieces(spine)
    items = StoredItems.load(serde, at, spine, pieces, reader.read_items(pieces))
    return StoredSequence(reference.kind, items)


def read(reference: Reference, reader: PartReader) -> Any:
    """Read a value; what of it can be changed is shared by what the reader reads. Blocks."""
    at = NodeRef(reference.part, reference.slot)
    if reference.kind == "value":
        return reader.read_segment(at)[0]
    items = reader.read_items(reader.read_pieces(reader.read_spine(at)))
    return items if reference.kind == "list" else _as_dict(items)


def _choose(
    value: Any, known: StoredValue | None, writer: PartWriter, serde: SerializerProtocol
) -> StoredValue | None:
    """Return what to update with a value: what is known, where it is of the value's kind."""
    kind = _kind_of(value)
    if isinstance(value, _SMALL) or (kind and not value):
        return None
    if kind == "text":
        if len(value) < MIN_BYTES:
            return None
        return known if isinstance(known, StoredText) else StoredText(value)
    if kind and isinstance(known, StoredSequence) and known.kind == kind:
        return known
    encoded = writer.pack([value])
    if len(encoded) < MIN_BYTES:
        return None
    if kind:
        return StoredSequence(kind, StoredItems(serde))
    return known if isinstance(known, StoredObject) else StoredObject(encoded, serde)


def _kind_of(value: Any) -> Literal["text", "list", "dict"] | None:
    type_ = type(value)
    if type_ is list:
        return "list"
    if type_ is dict and set(map(type, value)) <= {str}:
        return "dict"
    return "text" if type_ in (str, bytes) else None


def _as_dict(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))
