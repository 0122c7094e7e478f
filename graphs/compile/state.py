"""The state of a compiled graph: how writes are combined, and LangGraph's schema of the channels.

Owns the reducers and the hidden channels. What a channel's type accepts is
`graphs.spec.channel_types`'.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from config.errors import Invalid
from config.json_values import check_storable
from graphs.exposure import EXPOSURE, combine
from graphs.spec.channel_types import Reduce

LOOPS = "_loops"
"""Hidden channel: how often each bounded edge was taken since the loop around it came round."""
GOTO = "_goto"
"""Hidden channel: the node that a node itself chose to go on with, by the choosing node."""
OVERWRITE = "__overwrite__"
"""What LangGraph calls the plain-data form of a write that overwrites."""


def _append(old: list[Any], new: Any) -> list[Any]:
    return [*(old or []), new]


def _add(old: Any, new: Any) -> Any:
    if old is None or new is None:
        return new if old is None else old
    try:
        result = operator.add(old, new)
    except TypeError as error:
        raise Invalid(
            f"A {type(new).__name__} cannot be added to a {type(old).__name__}.",
            code="channel_type_mismatch",
        ) from error
    check_storable(result, "The reducer 'add'")
    return result


def _merge(old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any]:
    return {**(old or {}), **(new or {})}


def _count(old: dict[str, int], new: dict[str, int | None]) -> dict[str, int]:
    """Add to counts by their keys; None sets one back."""
    added = {key: 0 if more is None else old.get(key, 0) + more for key, more in new.items()}
    return {**old, **added}


def _add_messages(old: Any, new: Any) -> Any:
    try:
        return add_messages(old, new)
    except (ValueError, NotImplementedError) as error:
        # Of a message that is to be removed and is not there, say.
        raise Invalid(f"Messages cannot be added: {error}.", code="invalid_messages") from error


REDUCERS: Mapping[Reduce, Callable[[Any, Any], Any]] = {
    "append": _append,
    "add": _add,
    "merge": _merge,
    "messages": _add_messages,
}
"""The function of each reducer; `last` needs none, LangGraph's plain channel replaces its value."""
EMPTY: Mapping[Reduce, Callable[[], Any]] = {
    "last": lambda: None,
    "append": list,
    "add": lambda: None,
    "merge": dict,
    "messages": list,
}
"""What a channel without a default holds before its first write."""
ANNOTATED_TYPES: Mapping[Reduce, Any] = {
    "append": list,
    # LangGraph fills a channel with an empty value of its annotated type. A channel that cannot
    # make one takes its first write without a reducer, an `overwrite` included; `add` needs that,
    # because it does not know before whether it holds numbers, texts or lists.
    "add": type(None),
    "merge": dict,
    "messages": list,
}
"""The type in LangGraph's schema of a channel with each reducer."""
STEERING_CHANNELS = {LOOPS: Annotated[dict, _count], GOTO: Annotated[dict, _merge]}
HIDDEN = frozenset((*STEERING_CHANNELS, EXPOSURE))
"""The channels that nobody outside of a graph is shown."""


def state_schema(name: str, reducers: Mapping[str, Reduce], steering: bool) -> type[Any]:
    """Make the state type of these channels; `steering` adds those that steer a graph."""
    fields: dict[str, Any] = {
        channel: Any if reduce == "last" else Annotated[ANNOTATED_TYPES[reduce], REDUCERS[reduce]]
        for channel, reduce in reducers.items()
    }
    fields[EXPOSURE] = Annotated[dict, combine]
    return TypedDict(name, {**fields, **(STEERING_CHANNELS if steering else {})}, total=False)  # type: ignore[operator, no-any-return]


def overwrite(reduce: Reduce, value: Any) -> Any:
    """Return the write that makes a channel hold `value`, whatever it held before."""
    if reduce == "last":
        return value
    if reduce == "messages":
        value = _add_messages([], value or [])
    # The plain-data form of LangGraph's Overwrite: it survives being stored as JSON.
    return {"type": OVERWRITE, "value": value}


def written_value(write: Any) -> Any:
    """Return the value of a write, be it one that overwrites."""
    if isinstance(write, dict) and write.keys() == {"type", "value"} and write["type"] == OVERWRITE:
        return write["value"]
    return write
