"""Statements on LangGraph's tables (`checkpoints`, `writes`) and on `parts`, for threads and runs.

In these tables a thread's id is its key (`record.thread_key`), which holds the tenant. Parts go
with the checkpoints that made them: what is deleted here has no checkpoint behind it that stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from runs.database import Statement


class Query(NamedTuple):
    """A statement that reads, with its parameters."""

    sql: str
    parameters: tuple[Any, ...]


Address: TypeAlias = tuple[str, str, str]
"""A checkpoint: the key of its thread, namespace, id."""
NULL_TASK_ID = "00000000-0000-0000-0000-000000000000"
"""LangGraph's name for writes of no task: they are applied before the step goes on."""
LAST_ID = "~"
"""Behind the ids of all checkpoints."""
_NO_WRITES = "__no_writes__"
"""The channel by which LangGraph marks a task that has finished and wrote nothing."""
_AT = "thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
_START = (
    "coalesce(min(?, (SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? "
    "AND checkpoint_ns = '' AND json_extract(metadata, '$.run_id') IS NOT ? "
    "ORDER BY checkpoint_id DESC LIMIT 1)), '')"
)
"""Where a run that is a thread's last one goes on from: ids of checkpoints are in their order."""


def delete_thread(key: str) -> tuple[Statement, ...]:
    """Delete all checkpoints of a thread."""
    return (
        Statement("DELETE FROM checkpoints WHERE thread_id = ?", (key,)),
        Statement("DELETE FROM writes WHERE thread_id = ?", (key,)),
        Statement("DELETE FROM parts WHERE thread_id = ?", (key,)),
    )


def delete_runs(key: str, run_ids: Sequence[str]) -> tuple[Statement, ...]:
    """Delete the checkpoints that these runs made on a thread, and the writes on top of them."""
    marks = ", ".join("?" * len(run_ids))
    of_runs = f"thread_id = ? AND json_extract(metadata, '$.run_id') IN ({marks})"
    among = f"checkpoint_id IN (SELECT checkpoint_id FROM checkpoints WHERE {of_runs})"
    return (
        Statement(f"DELETE FROM writes WHERE thread_id = ? AND {among}", (key, key, *run_ids)),
        Statement(f"DELETE FROM parts WHERE thread_id = ? AND {among}", (key, key, *run_ids)),
        Statement(f"DELETE FROM checkpoints WHERE {of_runs}", (key, *run_ids)),
    )


def copy_thread(source_key: str, target_key: str) -> tuple[Statement, ...]:
    """Copy all checkpoints of a thread to another."""
    return (
        Statement(
            "INSERT INTO checkpoints SELECT ?, checkpoint_ns, checkpoint_id, "
            "parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints "
            "WHERE thread_id = ?",
            (target_key, source_key),
        ),
        Statement(
            "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, "
            "idx, channel, type, value) SELECT ?, checkpoint_ns, checkpoint_id, task_id, "
            "task_path, idx, channel, type, value FROM writes WHERE thread_id = ?",
            (target_key, source_key),
        ),
        Statement(
            "INSERT INTO parts (thread_id, part_id, checkpoint_id, data) "
            "SELECT ?, part_id, checkpoint_id, data FROM parts WHERE thread_id = ?",
            (target_key, source_key),
        ),
    )


def take_back(
    key: str, checkpoint_id: str, above: Sequence[str], open_steps: Sequence[str]
) -> tuple[Statement, ...]:
    """Take a thread back to a checkpoint from those that edits have made above it.

    LangGraph keeps an update made as a step for that step's result: the steps that have asked are
    open again.
    """
    later, steps = ", ".join("?" * len(above)), ", ".join("?" * len(open_steps))
    of_later = f"thread_id = ? AND checkpoint_id IN ({later})"
    return (
        Statement(f"DELETE FROM writes WHERE {of_later}", (key, *above)),
        Statement(f"DELETE FROM parts WHERE {of_later}", (key, *above)),
        Statement(f"DELETE FROM checkpoints WHERE {of_later}", (key, *above)),
        Statement(
            f"DELETE FROM writes WHERE {_AT} AND task_id IN ({steps}) AND idx >= 0",
            (key, "", checkpoint_id, *open_steps),
        ),
    )


def mark_finished(at: Address, channels: Sequence[str]) -> Statement:
    """Let the tasks that wrote to these channels count as finished, whatever is left of them."""
    marks = ", ".join("?" * len(channels))
    return Statement(
        "INSERT OR IGNORE INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, "
        "task_path, idx, channel, type, value) SELECT thread_id, checkpoint_ns, checkpoint_id, "
        f"task_id, max(task_path), 1000000, '{_NO_WRITES}', 'null', x'' FROM writes "
        f"WHERE {_AT} AND task_id != ? AND channel IN ({marks}) GROUP BY task_id",
        (*at, NULL_TASK_ID, *channels),
    )


def replace_writes(at: Address, channels: Sequence[str]) -> Statement:
    """Delete what was written to these channels on a checkpoint, by tasks and by edits."""
    marks = ", ".join("?" * len(channels))
    return Statement(f"DELETE FROM writes WHERE {_AT} AND channel IN ({marks})", (*at, *channels))


def stage_write(at: Address, channel: str, type_: str, value: bytes) -> Statement:
    """Write to a channel on a checkpoint, for no task, behind the other such writes."""
    return Statement(
        "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, "
        "channel, type, value) SELECT ?, ?, ?, ?, '', max(-1, coalesce(max(idx), -1)) + 1, ?, ?, ? "
        f"FROM writes WHERE {_AT} AND task_id = ?",
        (*at, NULL_TASK_ID, channel, type_, value, *at, NULL_TASK_ID),
    )


def list_writes(key: str, run_id: str, start: str | None, condition: str) -> Query:
    """Return the query of the writes with which a thread's last run, from its start on, may go on.

    `start` is the checkpoint that the run was to begin at. Those of subgraphs are the thread's.
    """
    columns = "SELECT checkpoint_ns, task_id, task_path FROM writes WHERE thread_id = ?"
    return Query(
        f"{columns} AND checkpoint_ns = '' AND checkpoint_id >= {_START} AND {condition} "
        f"UNION ALL {columns} AND checkpoint_ns > '' AND {condition}",
        (key, start or LAST_ID, key, run_id, key),
    )
