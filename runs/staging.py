"""Edits in the checkpoint of steps under way, and the way back to a question that they passed over.

LangGraph applies what was written to a checkpoint for no task before it goes on with the steps. Who
decides where an edit is written is `state_edits`; the statements are `checkpoint_statements`'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from config.errors import Conflict
from runs.checkpoint_statements import mark_finished, replace_writes, stage_write, take_back
from runs.checkpoints import Checkpoints
from runs.database import Statement
from runs.record import Run
from runs.thread_shapes import thread_config


def stage(
    checkpoints: Checkpoints, key: str, checkpoint_ids: Collection[str], writes: Mapping[str, Any]
) -> list[Statement]:
    """Return what writes into the state of checkpoints whose steps are under way.

    Each channel has one such write, its last one, which stands for what finished steps wrote too.
    """
    statements: list[Statement] = []
    for checkpoint_id in checkpoint_ids:
        at = (key, "", checkpoint_id)
        statements += [mark_finished(at, list(writes)), replace_writes(at, list(writes))]
        for channel, value in writes.items():
            statements.append(stage_write(at, channel, *checkpoints.serde.dumps_typed(value)))
    return statements


class UpdateJournal:
    """Collects what LangGraph writes for an update: the step's writes, then the checkpoint.

    With the writes alone on disk, the step would count as finished and its question be passed over.
    """

    unstorable: Exception | None = None

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def defer_write(self, statement: Statement, namespace: str, step: str | None = None) -> None:
        self.statements.append(statement)

    def has_pending_write(self, namespace: str) -> bool:
        """Return False: an update reads only what was there before."""
        return False

    def release_all_writes(self) -> None:
        """Do nothing: all of it is written together."""

    async def wait_flushed(self) -> None:
        """Return at once, as no reader waits."""


async def list_updates_above(
    checkpoints: Checkpoints, key: str, checkpoint_id: str
) -> list[str] | None:
    """List the checkpoints by which edits have moved a thread on from one, newest first.

    None where the thread has gone another way: by a run, or to an older checkpoint.
    """
    above: list[str] = []
    at = await checkpoints.aget_tuple(thread_config(key))
    while at is not None and at.config["configurable"]["checkpoint_id"] != checkpoint_id:
        if at.metadata.get("source") != "update" or at.parent_config is None:
            return None
        above.append(at.config["configurable"]["checkpoint_id"])
        at = await checkpoints.aget_tuple(at.parent_config)
    return None if at is None else above


async def find_way_back(checkpoints: Checkpoints, run: Run) -> tuple[Statement, ...]:
    """Return what takes a thread back to the questions that a run waits at, after edits.

    The values of the edits are written there. Raises `Conflict` (`run_superseded`) where the thread
    has gone another way.
    """
    asked_at = run.interrupts[0]["checkpoint_id"]
    above = await list_updates_above(checkpoints, run.thread_key, asked_at)
    if above is None:
        raise Conflict(
            f"Run {run.run_id} cannot go on: its thread was taken back to another checkpoint. "
            "Go on there with a run without input, or cancel this one.",
            code="run_superseded",
            details={"field": "run_id"},
        )
    if not above:
        return ()
    open_steps = [each["step"] for each in run.interrupts]
    return take_back(run.thread_key, asked_at, above, open_steps)
