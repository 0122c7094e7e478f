"""Statements on LangGraph's tables (`checkpoints`, `writes`) for whole threads and runs.

In these tables a thread's id is its key (`record.thread_key`), which holds the tenant.
"""

from __future__ import annotations

from collections.abc import Sequence

from runs.database import Statement


def delete_thread(key: str) -> tuple[Statement, ...]:
    """Delete all checkpoints of a thread."""
    return (
        Statement("DELETE FROM checkpoints WHERE thread_id = ?", (key,)),
        Statement("DELETE FROM writes WHERE thread_id = ?", (key,)),
    )


def delete_runs(key: str, run_ids: Sequence[str]) -> tuple[Statement, ...]:
    """Delete the checkpoints that these runs made on a thread, and the writes on top of them."""
    marks = ", ".join("?" * len(run_ids))
    of_runs = f"thread_id = ? AND json_extract(metadata, '$.run_id') IN ({marks})"
    return (
        Statement(
            "DELETE FROM writes WHERE thread_id = ? AND checkpoint_id IN "
            f"(SELECT checkpoint_id FROM checkpoints WHERE {of_runs})",
            (key, key, *run_ids),
        ),
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
    )
