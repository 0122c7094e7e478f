"""State channels: how values are combined, what they begin as, and LangGraph's schema of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from langchain_core.messages import BaseMessage
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from config.errors import Invalid

Type = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "list",
    "object",
    "messages",
    "any",
    "image",
    "audio",
    "file",
]
Reduce = Literal["last", "append", "add", "merge", "messages"]

LOOPS = "_loops"
"""Hidden channel: how often each bounded edge was taken in this run."""
GOTO = "_goto"
"""Hidden channel: where a node itself said to go on."""

PYTHON_TYPES: Mapping[Type, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "list": list,
    "object": dict,
    "messages": list,
    "any": Any,
    "image": Any,
    "audio": Any,
    "file": Any,
}
ACCEPTED: Mapping[Type, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "object": (dict,),
    "messages": (list, tuple, str, dict, BaseMessage),
    "any": (object,),
    "image": (str, dict),
    "audio": (str, dict),
    "file": (str, dict),
}
FILES: tuple[Type, ...] = ("image", "audio", "file")
"""Types whose values name a file: an artifact or a URL, never its bytes."""
JSON_TYPES: Mapping[Type, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "object": {"type": "object"},
    "messages": {"type": "array", "items": {"type": "object"}, "description": "Chat messages."},
    "any": {},
    "image": {"type": ["string", "object"], "format": "image"},
    "audio": {"type": ["string", "object"], "format": "audio"},
    "file": {"type": ["string", "object"], "format": "file"},
}


def fits(type_: Type, value: Any) -> bool:
    """Whether a value may be written to a channel of this type. Null always may."""
    if value is None:
        return True
    if isinstance(value, bool) and type_ in ("integer", "number"):
        return False
    return isinstance(value, ACCEPTED[type_])


def _append(old: list[Any], new: Any) -> list[Any]:
    return [*(old or []), new]


def _add(old: Any, new: Any) -> Any:
    if old is None or new is None:
        return new if old is None else old
    try:
        return operator.add(old, new)
    except TypeError as error:
        raise Invalid(
            f"A {type(new).__name__} cannot be added to a {type(old).__name__}.",
            code="channel_type_mismatch",
        ) from error


def _merge(old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any]:
    return {**(old or {}), **(new or {})}


def _count(old: dict[str, int], new: dict[str, int]) -> dict[str, int]:
    return {**old, **{key: old.get(key, 0) + more for key, more in new.items()}}


REDUCERS: Mapping[Reduce, Callable[[Any, Any], Any]] = {
    "append": _append,
    "add": _add,
    "merge": _merge,
    "messages": add_messages,
}
EMPTY: Mapping[Reduce, Callable[[], Any]] = {
    "last": lambda: None,
    "append": list,
    "add": lambda: None,
    "merge": dict,
    "messages": list,
}
BASE: Mapping[Reduce, Any] = {
    "append": list,
    "add": type(
        None
    ),  # a channel without a value takes its first write unseen, `overwrite` included
    "merge": dict,
    "messages": list,
}
HIDDEN = {LOOPS: Annotated[dict, _count], GOTO: Annotated[dict, _merge]}


def state_schema(name: str, reducers: Mapping[str, Reduce], hidden: bool) -> type[Any]:
    """LangGraph's state type for these channels."""
    fields: dict[str, Any] = {
        channel: Any if reduce == "last" else Annotated[BASE[reduce], REDUCERS[reduce]]
        for channel, reduce in reducers.items()
    }
    return TypedDict(name, {**fields, **(HIDDEN if hidden else {})}, total=False)  # type: ignore[operator, no-any-return]


def overwrite(reduce: Reduce, value: Any) -> Any:
    """The write that makes a channel hold `value`, whatever it held before."""
    # The plain-data form of LangGraph's Overwrite: it survives being stored as JSON.
    return value if reduce == "last" else {"type": "__overwrite__", "value": value}
