"""Stretches of a stored list in memory: whether they still hold what is stored, and copies of it.

Code of users may change a list, or an item in it, where it stands. Texts and numbers cannot change:
the same object is the same value. All else is compared, and given out, by its encoding.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Protocol

import ormsgpack
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

CHUNK_ITEMS = 64
"""Items of a chunk: of one that has changed all are looked at one by one."""
FROZEN = frozenset({str, int, float, bool, type(None), bytes})
_MESSAGES: frozenset[type[BaseMessage]] = frozenset(
    {AIMessage, ChatMessage, FunctionMessage, HumanMessage, SystemMessage, ToolMessage}
)
"""Those whose fields say all; LangGraph's serializer takes three times as long for them."""
_PLAIN_ONLY = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
"""Refuses what would be read back as something else."""


class Chunk(Protocol):
    """Some consecutive items of a stored list."""

    size_bytes: int

    def __len__(self) -> int: ...

    def holds(self, items: Sequence[Any]) -> bool:
        """Return whether as many items would be stored as these are."""
        ...

    def copy(self) -> list[Any]:
        """Return the items; those that can be changed are the caller's own."""
        ...


class FrozenChunk:
    """Items that cannot change."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self.size_bytes = sum(len(item) for item in items if isinstance(item, str | bytes))

    def __len__(self) -> int:
        return len(self._items)

    def holds(self, items: Sequence[Any]) -> bool:
        return all(map(operator.is_, self._items, items))

    def copy(self) -> list[Any]:
        return self._items


class EncodedChunk:
    """Items as LangGraph's serializer writes them."""

    def __init__(self, items: Sequence[Any], serde: SerializerProtocol) -> None:
        self._serde = serde
        self._count = len(items)
        self._encoded = serde.dumps_typed(list(items))
        self.size_bytes = len(self._encoded[1])

    def __len__(self) -> int:
        return self._count

    def holds(self, items: Sequence[Any]) -> bool:
        return self._serde.dumps_typed(list(items)) == self._encoded

    def copy(self) -> list[Any]:
        items: list[Any] = self._serde.loads_typed(self._encoded)
        return items


class MessageChunk:
    """Messages, as their fields."""

    def __init__(self, items: Sequence[BaseMessage]) -> None:
        """Raises `TypeError` or `ValueError` where fields hold what is not plain."""
        self._types = list(map(type, items))
        self._fields = _encode_fields(items)
        self.size_bytes = len(self._fields)

    def __len__(self) -> int:
        return len(self._types)

    def holds(self, items: Sequence[Any]) -> bool:
        try:
            return list(map(type, items)) == self._types and _encode_fields(items) == self._fields
        except (TypeError, ValueError):
            return False

    def copy(self) -> list[Any]:
        return list(map(_restore, self._types, ormsgpack.unpackb(self._fields)))


def make_chunk(items: Sequence[Any], serde: SerializerProtocol) -> Chunk:
    """Make the chunk of items that are stored as they are now."""
    types = set(map(type, items))
    if types <= FROZEN:
        return FrozenChunk(list(items))
    if types <= _MESSAGES:
        try:
            return MessageChunk(items)
        except (TypeError, ValueError):
            pass
    return EncodedChunk(items, serde)


def _encode_fields(messages: Sequence[BaseMessage]) -> bytes:
    if any(message.__pydantic_extra__ for message in messages):
        raise ValueError("a message has fields of its own")
    return ormsgpack.packb(list(map(vars, messages)), option=_PLAIN_ONLY)


def _restore(type_: type[BaseMessage], fields: dict[str, Any]) -> BaseMessage:
    """Make a message as it is unpickled: its fields were checked when it was made."""
    message = type_.__new__(type_)
    message.__setstate__(
        {
            "__dict__": fields,
            "__pydantic_fields_set__": set(fields),
            "__pydantic_extra__": {},
            "__pydantic_private__": None,
        }
    )
    return message
