"""Edits of a thread's state by a person, also while a run waits for an answer there.

Owns where an edit is written; what a state takes is `edit_checks`'. LangGraph's own update makes a
checkpoint whose steps are new ones: the questions, answers and finished work of the steps under way
belong to the one before, and would be lost, or done twice.

Invariants:
- An edit that leaves the same steps to be done is written into their checkpoint (1).
- One that leads elsewhere makes a new checkpoint, from which a run without input goes on (2).
- Where a run waits, the values are written at its question too, whatever edits lie above: its
  answer takes the thread back to there (`engine`).
- All of an edit is written at once: half of one would let a step pass its question.
- What was edited before, and what finished steps wrote, is carried into the new checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import StateSnapshot

from graphs.compile.state import overwrite
from runs.checkpoint_statements import NULL_TASK_ID
from runs.checkpoints import Checkpoints
from runs.edit_checks import check_node, check_values, fold, is_writable
from runs.journal import JOURNAL
from runs.rehearsal import rehearse_update
from runs.staging import UpdateJournal, list_updates_above, stage
from runs.task_writes import BOOKKEEPING
from runs.thread_shapes import thread_config


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
        await checkpoints.database.write(*stage(checkpoints, key, staged_at, writes))
        return state.checkpoint.config  # (1)
    journal = UpdateJournal()
    at: RunnableConfig = {"configurable": {**state.at["configurable"], JOURNAL: journal}}
    updated: RunnableConfig = await graph.aupdate_state(at, values, as_node=edit.as_node)
    staged = stage(checkpoints, key, question, writes)
    await checkpoints.database.write(*staged, *journal.statements)
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
        if name in state.values and is_writable(graph, name)
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


def _id_of(checkpoint: CheckpointTuple) -> str:
    return str(checkpoint.config["configurable"]["checkpoint_id"])
