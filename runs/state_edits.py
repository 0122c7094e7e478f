"""Edits of a thread's state by a person, also while a run waits for an answer there.

Owns what a state takes, and where an edit is written. LangGraph's own update makes a checkpoint
whose steps are new ones: the questions, answers and finished work of the steps under way belong to
the one before, and would be lost, or done twice.

Invariants:
- An edit that leaves the same steps to be done is written into their checkpoint (1).
- One that leads elsewhere makes a new checkpoint, from which a run without input goes on (2).
- Where a run waits, the values are written at its question too, whatever edits lie above: its
  answer takes the thread back to there (`engine`).
- What was edited before, and what finished steps wrote, is carried into the new checkpoint.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.channels.base import BaseChannel
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import StateSnapshot

from config.errors import Invalid, MotetError, nearest
from graphs.compile.state import overwrite
from graphs.spec.channel_types import fits
from runs.checkpoint_statements import NULL_TASK_ID
from runs.checkpoints import BOOKKEEPING, Checkpoints
from runs.rehearsal import rehearse_update
from runs.staging import list_updates_above, stage
from runs.stream_translator import visible
from runs.thread_shapes import thread_config
from tools.user_code.guard import call_guarded, describe

if TYPE_CHECKING:
    from graphs.agent import Agent


@dataclass(frozen=True)
class StateEdit:
    """What to write, as which node, and at which checkpoint; None is the latest one."""

    values: Any
    as_node: str | None = None
    checkpoint_id: str | None = None


@dataclass(frozen=True)
class EditedState:
    """The state that an edit is made of; a thread whose run failed early has no checkpoint."""

    at: RunnableConfig
    checkpoint: CheckpointTuple | None
    snapshot: StateSnapshot
    is_latest: bool

    @property
    def values(self) -> Mapping[str, Any]:
        """What the channels hold, with what finished steps wrote; that of one is no mapping."""
        return self.snapshot.values if isinstance(self.snapshot.values, Mapping) else {}

    @property
    def steps(self) -> list[str]:
        """The steps under way."""
        return sorted(task.name for task in self.snapshot.tasks)


async def write_edit(
    graph: Any,
    checkpoints: Checkpoints,
    key: str,
    edit: StateEdit,
    asked_at: str | None = None,
) -> RunnableConfig:
    """Write an edit on the thread of this key and return its checkpoint; on disk on return.

    `asked_at` is where a run waits on the thread. The caller holds the thread's lock. Raises
    `Invalid` for values that no node could write; nothing is written then.
    """
    state = await _read_state(graph, checkpoints, key, edit.checkpoint_id)
    check_values(graph, state.values, edit.values)
    check_node(graph, edit.as_node)
    writes = _final_writes(graph, state, edit.values)
    values = _with_carried(graph, state, edit.values, writes)
    ahead = None
    if edit.as_node is not None or not (state.is_latest and state.steps):
        ahead = await rehearse_update(graph, checkpoints, state.at, values, edit.as_node)
    question: set[str] = set()
    if asked_at is not None and state.is_latest:
        above = await list_updates_above(checkpoints, key, asked_at)
        question = set() if above is None else {asked_at}
    if state.checkpoint and _leaves_steps(state, edit, ahead):
        staged_at = {_id_of(state.checkpoint), *question}
        await stage(checkpoints, key, staged_at, writes)
        return state.checkpoint.config  # (1)
    await stage(checkpoints, key, question, writes)
    updated: RunnableConfig = await graph.aupdate_state(state.at, values, as_node=edit.as_node)
    return updated  # (2)


async def _read_state(
    graph: Any, checkpoints: Checkpoints, key: str, checkpoint_id: str | None
) -> EditedState:
    latest = await checkpoints.aget_tuple(thread_config(key))
    if latest is not None and checkpoint_id in (None, _id_of(latest)):
        # Without the id: only so does LangGraph show what finished steps wrote.
        at = thread_config(key)
        return EditedState(at, latest, await graph.aget_state(at), True)
    at = thread_config(key, checkpoint_id)
    return EditedState(at, await checkpoints.aget_tuple(at), await graph.aget_state(at), False)


def _leaves_steps(state: EditedState, edit: StateEdit, ahead: StateSnapshot | None) -> bool:
    """Return whether the steps under way are those that are to be done after the edit."""
    if not state.is_latest or not state.steps:
        return False
    if edit.as_node is None:
        return True
    # As one of several steps: LangGraph's update would drop the others. The step stays to be done.
    if edit.as_node in state.steps and len(state.steps) > 1:
        return True
    return ahead is not None and sorted(task.name for task in ahead.tasks) == state.steps


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


def _final_writes(graph: Any, state: EditedState, values: Any) -> dict[str, Any]:
    """Return for each edited channel the one write that makes it hold what the edit leads to."""
    return {
        name: _replacing(graph, state, name, fold(graph, state.values, name, value))
        for name, value in (values or {}).items()
    }


def _with_carried(graph: Any, state: EditedState, values: Any, writes: Mapping[str, Any]) -> Any:
    """Add to an edit what was written on its checkpoint: LangGraph's update would leave it there.

    From an older checkpoint the finished steps are done again, so what they wrote is left out.
    """
    if state.checkpoint is None:
        return values
    written = {
        channel
        for task_id, channel, _ in state.checkpoint.pending_writes or ()
        if channel not in BOOKKEEPING and (state.is_latest or task_id == NULL_TASK_ID)
    }
    carried = {
        name: _replacing(graph, state, name, state.values[name])
        for name in written
        if name in state.values and _is_writable(graph, name)
    }
    return {**carried, **writes} if carried else values


def _replacing(graph: Any, state: EditedState, name: str, value: Any) -> Any:
    """Return the write that makes a channel of a checkpoint hold `value`."""
    spec = graph.channels[name]
    if isinstance(spec, DeltaChannel):
        return overwrite("append", value)
    stored = state.checkpoint.checkpoint["channel_values"] if state.checkpoint else {}
    # A channel that holds nothing takes its first write as it is, without its reducer.
    if isinstance(spec, BinaryOperatorAggregate) and (name in stored or spec.is_available()):
        return overwrite("append", value)
    return value


def _is_raised_in(error: BaseException | None, agent: Agent) -> bool:
    """Return whether an error, or what led to it, came through an agent's own file."""
    while error is not None and agent.path is not None:
        frames = traceback.extract_tb(error.__traceback__)
        if any(frame.filename == str(agent.path) for frame in frames):
            return True
        error = error.__cause__
    return False


def _id_of(checkpoint: CheckpointTuple) -> str:
    return str(checkpoint.config["configurable"]["checkpoint_id"])


def _is_writable(graph: Any, name: str) -> bool:
    own = ":" in name or name.startswith("__")  # LangGraph's own
    return name in graph.channels and isinstance(graph.channels[name], BaseChannel) and not own
