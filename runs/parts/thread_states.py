"""States of threads on their way to the disk and back: what is remembered, and when it is read.

Owns which states are remembered, and that a checkpoint is encoded against its parent. How it is
encoded is `states`'; which rows there are is `checkpoints`'.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from langgraph.checkpoint.base import Checkpoint
from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.database import RunDatabase, Statement
from runs.parts.inputs import likely_name, put_back
from runs.parts.part_reader import PartReader
from runs.parts.part_writer import PartNumbers
from runs.parts.reference import Reference
from runs.parts.states import (
    Address,
    DecodedState,
    EncodedState,
    KnownState,
    KnownStates,
    encode,
    load_state,
    read_values,
)
from runs.parts.stored_values import read

_PUT = "INSERT INTO parts (thread_id, part_id, checkpoint_id, data) VALUES (?, ?, ?, ?)"


class ThreadStates:
    """Encodes and completes checkpoints. Its methods belong to the event loop's thread."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database
        self._known = KnownStates()
        self._numbers = PartNumbers()

    def is_known(self, at: Address, checkpoint_id: str) -> bool:
        """Return whether a checkpoint is remembered."""
        return self._known.find(at, checkpoint_id) is not None

    def encode(
        self,
        at: Address,
        checkpoint: Checkpoint,
        parent_id: str | None,
        serde: SerializerProtocol,
        changed: Container[str] | None = None,
    ) -> EncodedState:
        """Encode a checkpoint whose parent, if it has one, is remembered or has no large values.

        It is remembered in its parent's place. `changed` are the channels that differ from the
        parent's; None where that is not known. Raises what the serializer raises.
        """
        parent = self._known.find(at, parent_id) or self._begin(at, parent_id)
        # Should the encoding fail half-way, the parent is not what was written.
        self._known.forget(at)
        encoded = encode(checkpoint, parent, serde, self._numbers, changed)
        self._known.note(at, parent)
        return encoded

    def _begin(self, at: Address, parent_id: str | None) -> KnownState:
        """Return what a first checkpoint is compared with: a graph in a graph shares its values."""
        around = self._known.last(at.outer) if at.outer and parent_id is None else None
        return around.clone() if around else KnownState("")

    async def complete(
        self,
        at: Address,
        decoded: DecodedState,
        reader: PartReader,
        serde: SerializerProtocol,
        *,
        remember: bool,
    ) -> Checkpoint:
        """Return a checkpoint with its large values; what of them can be changed is the caller's.

        Raises `PartsMissingError`.
        """
        checkpoint, references = decoded
        # Another state of this namespace may be that of a run under way, which is needed still.
        remember = remember or self._known.last(at) is None
        if references:
            values = await self._read(at, checkpoint["id"], references, reader, serde, remember)
            put_back(checkpoint["channel_values"], values)
        elif remember:
            self._known.note(at, KnownState(checkpoint["id"]))
        return checkpoint

    def find_parts(self, key: str, values: Mapping[str, Any]) -> dict[str, Reference]:
        """Return which of these values, by name, are stored in the last known state of a thread."""
        known = self._known.last(Address(key, ""))
        if known is None or not known.values:
            return {}
        located = ((name, known.find(name, value)) for name, value in values.items())
        return {name: where for name, where in located if where}

    def find_part(self, at: Address, checkpoint_id: str, name: str, value: Any) -> Reference | None:
        """Return where a value that is written on a checkpoint is stored already."""
        if known := self._known.find(at, checkpoint_id):
            return known.find(likely_name(name), value)
        # The first writes of a graph in a graph come before its first checkpoint is put.
        around = self._known.last(at.outer) if at.outer else None
        return around.find(name, value) if around else None

    async def read_parts(
        self, references: Sequence[Reference], reader: PartReader
    ) -> dict[Reference, Any]:
        """Read values. Raises `PartsMissingError`."""
        if not references:
            return {}
        return await self._database.read(
            lambda connection: {where: read(where, reader.on(connection)) for where in references}
        )

    def forget(self, key: str) -> None:
        """Forget the states of a thread that is changed otherwise."""
        self._known.forget_thread(key)

    async def _read(
        self,
        at: Address,
        checkpoint_id: str,
        references: Mapping[str, Reference],
        reader: PartReader,
        serde: SerializerProtocol,
        remember: bool,
    ) -> dict[str, Any]:
        known = self._known.find(at, checkpoint_id)
        if known and known.references == references:
            return known.copy()
        if not remember:
            return await self._database.read(lambda c: read_values(references, reader.on(c)))
        state = await self._database.read(
            lambda c: load_state(checkpoint_id, references, reader.on(c), serde)
        )
        values = await self._database.read(lambda _: state.copy())
        self._known.note(at, state)
        return values


def put_part(key: str, checkpoint_id: str, encoded: EncodedState) -> list[Statement]:
    """Return what stores a checkpoint's own part, if it has one; to be written before it."""
    if encoded.part is None:
        return []
    return [Statement(_PUT, (key, encoded.part, checkpoint_id, encoded.data))]
