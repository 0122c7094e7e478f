"""LangGraph's search for messages in what a node takes and gives, made to pass over all else.

To stream messages LangGraph looks, on the event loop, at each item of each sequence. A text is a
sequence too: one of four million letters holds up everything for a second, as a list of so many
numbers does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.pregel._messages import StreamMessagesHandler
from langgraph.types import Command

_ON_CHAIN_START = StreamMessagesHandler.on_chain_start
_ON_CHAIN_END = StreamMessagesHandler.on_chain_end
_TEXTS = (str, bytes, bytearray)


def narrow_search() -> None:
    """Let LangGraph search what may hold messages alone, in this process from now on."""
    # LangGraph makes the handler itself and takes no other, so its methods are replaced; mypy
    # objects to that whatever their types are.
    StreamMessagesHandler.on_chain_start = _start  # type: ignore[assignment, method-assign]
    StreamMessagesHandler.on_chain_end = _end  # type: ignore[assignment, method-assign]


def _start(handler: StreamMessagesHandler, serialized: Any, inputs: Any, **named: Any) -> Any:
    return _ON_CHAIN_START(handler, serialized, _with_messages(inputs), **named)


def _end(handler: StreamMessagesHandler, response: Any, **named: Any) -> Any:
    return _ON_CHAIN_END(handler, _with_messages(response), **named)


def _with_messages(value: Any) -> Any:
    """Return what a node takes or gives without that in which there are no messages."""
    match value:
        case str() | bytes() | bytearray():
            return None
        case Command():
            return replace(value, update=_with_messages(value.update))
        case Mapping():
            return {name: each for name, each in value.items() if _may_hold_messages(each)}
        case list() | tuple() if _may_hold(value, BaseMessage | Command | Mapping):
            return [_with_messages(each) for each in value]
        case list() | tuple():
            return None
    return value


def _may_hold_messages(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return _may_hold(value, BaseMessage)
    return not isinstance(value, _TEXTS)


def _may_hold(items: list[Any] | tuple[Any, ...], kinds: Any) -> bool:
    """Return whether there are such items; by their types, without a loop of Python over all."""
    return any(issubclass(kind, kinds) for kind in set(map(type, items)))
