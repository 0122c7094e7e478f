"""Checks what a person writes into a thread's state.

Owns which writes a state takes. Whether the thread may be edited now is `threads`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.channels.base import BaseChannel

from config.errors import Invalid, MotetError, nearest
from runs.stream_translator import visible


def check_values(graph: Any, current: Any, values: Any) -> None:
    """Check that the graph's channels, which hold `current`, take `values`.

    LangGraph drops what no channel takes; a misspelt name must never be ignored. Raises `Invalid`.
    """
    if not isinstance(values, Mapping):
        return
    known = [name for name in visible(dict(graph.channels)) if _is_writable(graph, name)]
    for name, value in values.items():
        if name not in known:
            raise Invalid(
                f"The state has no channel '{name}'. {nearest(name, known)}",
                details={"field": f"values.{name}"},
            )
        fold(graph, current, name, value)


def check_node(graph: Any, as_node: str | None) -> None:
    """Check that the graph has the node. Raises `Invalid`."""
    if as_node is not None and as_node not in graph.nodes:
        known = [name for name in graph.nodes if not name.startswith("__")]
        raise Invalid(
            f"The agent has no node '{as_node}'. {nearest(as_node, known)}",
            details={"field": "as_node"},
        )


def fold(graph: Any, current: Any, name: str, value: Any) -> Any:
    """Return what a channel holds after `value` was written to it.

    Raises `Invalid` for a value that the channel's reducer does not take.
    """
    spec: BaseChannel[Any, Any, Any] = graph.channels[name]
    holds = isinstance(current, Mapping) and name in current
    channel = spec.from_checkpoint(current[name]) if holds else spec.copy()
    try:
        channel.update([value])
        return channel.get()
    # A reducer is anybody's code and raises what it likes, about the value that it was given.
    except Exception as error:
        reason = error.message if isinstance(error, MotetError) else str(error)
        raise Invalid(
            f"Channel '{name}' does not take this value: {reason}",
            details={"field": f"values.{name}"},
        ) from error


def _is_writable(graph: Any, name: str) -> bool:
    own = ":" in name or name.startswith("__")  # LangGraph's own
    return isinstance(graph.channels[name], BaseChannel) and not own
