"""Checks of what a person writes into a thread's state: what its channels and steps take."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langgraph.channels.base import BaseChannel

from config.errors import Invalid, MotetError, nearest
from graphs.spec.channel_types import fits
from runs.stream_translator import visible
from tools.user_code.guard import call_guarded, describe

if TYPE_CHECKING:
    from graphs.agent import Agent


@contextmanager
def explain_user_errors(agent: Agent) -> Iterator[None]:
    """Raise `Invalid` for what the code of a Python agent raises about an edit.

    What LangGraph or Motet raises is no fault of the edit and stays as it is.
    """
    try:
        yield
    except MotetError:
        raise
    except Exception as error:
        if not _is_raised_in(error, agent):
            raise
        raise Invalid(
            f"A step behind this edit does not take it: {describe(error)}",
            details={"field": "values"},
        ) from error


def check_types(agent: Agent, values: Any) -> None:
    """Check the values against the types that a YAML agent declares for its channels.

    Raises `Invalid` (`channel_type_mismatch`), as for what a node writes.
    """
    if agent.graph is None or not isinstance(values, Mapping):
        return
    for name, value in values.items():
        channel = agent.graph.channels.get(name)
        # A write to a channel with a reducer is a part of its value, or replaces it.
        if channel and channel.reducer == "last" and not fits(channel.type, value):
            raise Invalid(
                f"Channel '{name}' holds {channel.type}, not {type(value).__name__}.",
                code="channel_type_mismatch",
                details={"field": f"values.{name}"},
            )


def check_values(graph: Any, current: Mapping[str, Any], values: Any) -> None:
    """Check that the graph's channels, which hold `current`, take `values`.

    LangGraph drops what no channel takes; a misspelt name must never be ignored. Raises `Invalid`.
    """
    if values is None:
        return
    if not isinstance(values, Mapping):
        raise Invalid("values: an object of channels and values.", details={"field": "values"})
    known = [name for name in visible(dict(graph.channels)) if is_writable(graph, name)]
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


def fold(graph: Any, current: Mapping[str, Any], name: str, value: Any) -> Any:
    """Return what a channel holds after `value` was written to it.

    Raises `Invalid` for a value that the channel's reducer does not take.
    """
    spec: BaseChannel[Any, Any, Any] = graph.channels[name]
    channel = spec.from_checkpoint(current[name]) if name in current else spec.copy()
    try:
        call_guarded(lambda: channel.update([value]))
        return channel.get()
    # A reducer is anybody's code and raises what it likes, about the value that it was given.
    except Exception as error:
        reason = error.message if isinstance(error, MotetError) else describe(error)
        raise Invalid(
            f"Channel '{name}' does not take this value: {reason}",
            details={"field": f"values.{name}"},
        ) from error


def is_writable(graph: Any, name: str) -> bool:
    """Return whether a person may write to a channel of the graph."""
    own = ":" in name or name.startswith("__")  # LangGraph's own
    return name in graph.channels and isinstance(graph.channels[name], BaseChannel) and not own


def _is_raised_in(error: BaseException | None, agent: Agent) -> bool:
    """Return whether an error, or what led to it, came through an agent's own file."""
    while error is not None and agent.path is not None:
        frames = traceback.extract_tb(error.__traceback__)
        if any(frame.filename == str(agent.path) for frame in frames):
            return True
        error = error.__cause__
    return False
