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


async def stage(
    checkpoints: Checkpoints, key: str, checkpoint_ids: Collection[str], writes: Mapping[str, Any]
) -> None:
    """Write into the state of checkpoints whose steps are under way; on disk on return.

    Each channel has one such write, its last one, which stands for what finished steps wrote too.
    """
    statements: list[Statement] = []
    for checkpoint_id in checkpoint_ids:
        at = (key, "", checkpoint_id)
        statements += [mark_finished(at, list(writes)), replace_writes(at, list(writes))]
        for channel, value in writes.items():
            statements.append(stage_write(at, channel, *checkpoints.serde.dumps_typed(value)))
    if statements:
        await checkpoints.database.write(*statements)


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
