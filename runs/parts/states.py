"""Checkpoints with and without their parts, and the last states of threads that are in use.

Owns the form in which a checkpoint is stored. Checkpoints of earlier versions, which hold all their
values, are read as they are.

Invariants:
- A checkpoint refers to its own part and to those to which its parent refers, or for the first of a
  graph within a graph, the last one of the graph around it; to no others.
- What is remembered of a namespace belongs to one checkpoint, which is named.
- Nothing that a caller gives or gets is shared with what is remembered, but for what cannot change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from langgraph.checkpoint.base import Checkpoint
from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.parts.inputs import likely_name, spread, without
from runs.parts.part_reader import PartReader
from runs.parts.part_writer import LargeTexts, PartNumbers, PartWriter
from runs.parts.reference import Reference
from runs.parts.stored_values import StoredValue, load, read, store

MEMORY_BYTES = 64 * 2**20
"""Of the states that are remembered; the one used last is, whatever its size."""
VERSION_DIGITS = 32
"""LangGraph's SQLite saver writes versions of channels with so many digits."""
STATE_BYTES = 1024
"""What a state takes besides its values."""


class Address(NamedTuple):
    """The key of a thread, and a namespace on it."""

    key: str
    ns: str

    @property
    def outer(self) -> Address | None:
        """The namespace of the graph around this one."""
        return Address(self.key, self.ns.rpartition("|")[0]) if self.ns else None


class EncodedState(NamedTuple):
    """A checkpoint as it is stored: its blob, and its own part if it has one."""

    type: str
    blob: bytes
    part: int | None = None
    data: bytes = b""


@dataclass
class KnownState:
    """What is stored of a checkpoint's large values, by their names."""

    checkpoint_id: str
    values: dict[str, StoredValue] = field(default_factory=dict)
    texts: LargeTexts = field(default_factory=LargeTexts)

    @property
    def size_bytes(self) -> int:
        return STATE_BYTES + sum(value.size_bytes for value in self.values.values())

    @property
    def references(self) -> dict[str, Reference]:
        return {name: value.reference for name, value in self.values.items()}

    def clone(self) -> KnownState:
        """Return a state of its own in which the same values are stored."""
        return KnownState("", {name: value.clone() for name, value in self.values.items()})

    def find_before(self, name: str) -> StoredValue | None:
        """Return what a value of this name is compared with, to be updated."""
        if known := self.values.get(name):
            return known
        alike = self.values.get(likely_name(name))
        return alike.clone() if alike else None

    def find(self, name: str, value: Any) -> Reference | None:
        """Return where this value is stored, most likely by a channel of this name."""
        if not isinstance(value, str | bytes | list | dict) or not value:
            return None
        likely_first = sorted(self.values, key=lambda channel: channel != name)
        stored = (self.values[channel] for channel in likely_first)
        return next((each.reference for each in stored if each.holds(value)), None)

    def copy(self) -> dict[str, Any]:
        """Return the values; what of them can be changed is the caller's own."""
        return {name: value.copy() for name, value in self.values.items()}


class _Noted(NamedTuple):
    state: KnownState
    size_bytes: int


class KnownStates:
    """The last state of each namespace of the threads used last; bounded by bytes."""

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._threads: OrderedDict[str, dict[str, _Noted]] = OrderedDict()
        self._size_bytes = 0

    def find(self, at: Address, checkpoint_id: str | None) -> KnownState | None:
        """Return what is known of a checkpoint, where it is the one that was noted last."""
        state = self.last(at)
        if state is None or state.checkpoint_id != checkpoint_id:
            return None
        self._threads.move_to_end(at.key)
        return state

    def last(self, at: Address) -> KnownState | None:
        """Return what is known of a namespace, whichever checkpoint it is of."""
        noted = self._threads.get(at.key, {}).get(at.ns)
        return noted.state if noted else None

    def note(self, at: Address, state: KnownState) -> None:
        """Know this state of a namespace instead of the one before."""
        self.forget(at)
        noted = _Noted(state, state.size_bytes)
        self._threads.setdefault(at.key, {})[at.ns] = noted
        self._threads.move_to_end(at.key)
        self._size_bytes += noted.size_bytes
        while self._size_bytes > self._max_bytes and len(self._threads) > 1:
            self.forget_thread(next(iter(self._threads)))

    def forget(self, at: Address) -> None:
        if noted := self._threads.get(at.key, {}).pop(at.ns, None):
            self._size_bytes -= noted.size_bytes

    def forget_thread(self, key: str) -> None:
        states = self._threads.pop(key, {})
        self._size_bytes -= sum(noted.size_bytes for noted in states.values())


def encode(
    checkpoint: Checkpoint,
    parent: KnownState,
    serde: SerializerProtocol,
    numbers: PartNumbers,
    changed: Container[str] | None,
) -> EncodedState:
    """Encode a checkpoint; `parent`, of which it is made, becomes what is known of it.

    Channels that are not among the `changed` hold what `parent` does; with None any may have
    changed. After an error, which is raised as it is, nothing is known of `parent` any more.
    """
    writer = PartWriter(serde, numbers, parent.texts)
    stored: dict[str, StoredValue] = {}
    for name, value in spread(checkpoint["channel_values"]):
        if changed is not None and name not in changed and name in parent.values:
            stored[name] = parent.values[name]
        elif large := store(value, parent.find_before(name), writer, serde):
            stored[name] = large
    shape = {
        **checkpoint,
        "channel_values": without(checkpoint["channel_values"], stored),
        "channel_versions": _shorten(checkpoint["channel_versions"]),
        "versions_seen": {
            k: _shorten(versions) for k, versions in checkpoint["versions_seen"].items()
        },
        "parts": {name: list(value.reference) for name, value in stored.items()},
    }
    type_, blob = serde.dumps_typed(shape)
    parent.checkpoint_id, parent.values = checkpoint["id"], stored
    return EncodedState(type_, blob, *((writer.part, writer.data()) if writer else ()))


class DecodedState(NamedTuple):
    """A checkpoint that was read, but for its large values."""

    checkpoint: Checkpoint
    references: dict[str, Reference]


def decode(type_: str, blob: bytes, serde: SerializerProtocol) -> DecodedState:
    """Decode a checkpoint's blob."""
    shape: dict[str, Any] = serde.loads_typed((type_, blob))
    parts = shape.pop("parts", None)
    if parts is None:  # of an earlier version
        return DecodedState(cast(Checkpoint, shape), {})
    shape["channel_versions"] = _lengthen(shape["channel_versions"])
    shape["versions_seen"] = {
        k: _lengthen(versions) for k, versions in shape["versions_seen"].items()
    }
    references = {name: Reference(*where) for name, where in parts.items()}
    return DecodedState(cast(Checkpoint, shape), references)


def read_values(references: Mapping[str, Reference], reader: PartReader) -> dict[str, Any]:
    """Read large values. Blocks."""
    return {name: read(where, reader) for name, where in references.items()}


def load_state(
    checkpoint_id: str,
    references: Mapping[str, Reference],
    reader: PartReader,
    serde: SerializerProtocol,
) -> KnownState:
    """Read large values, to be remembered. Blocks."""
    values = {name: load(where, reader, serde) for name, where in references.items()}
    return KnownState(checkpoint_id, values)


def _shorten(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Write versions of channels as the numbers that they are; numbers, as others use, in lists."""
    return {channel: _shorten_one(version) for channel, version in versions.items()}


def _shorten_one(version: Any) -> Any:
    if isinstance(version, str) and len(version) == VERSION_DIGITS and version.isdigit():
        return int(version)
    return [version] if isinstance(version, int) else version


def _lengthen(versions: Mapping[str, Any]) -> dict[str, Any]:
    return {channel: _lengthen_one(version) for channel, version in versions.items()}


def _lengthen_one(version: Any) -> Any:
    if isinstance(version, int):
        return format_version(version)
    return version[0] if isinstance(version, list) else version


def format_version(number: int) -> str:
    """Format a channel's version, so that texts of versions are in the order of their numbers."""
    return f"{number:0{VERSION_DIGITS}}"
