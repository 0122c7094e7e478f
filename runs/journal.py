"""What checkpoints ask of the log of their run: their place among its events."""

from __future__ import annotations

from typing import Protocol

from runs.database import Statement

JOURNAL = "__journal"
"""Where a run's config names the `Journal` by which its checkpoints reach the disk."""


class Journal(Protocol):
    """Stores a run's writes and events in one order; `runs.run_log` implements it.

    `namespace` is that of the graph, or subgraph, which wrote.
    """

    def defer_write(self, statement: Statement, namespace: str, step: str | None = None) -> None:
        """Store a write in its turn; with `step`, together with the end of that step."""
        ...

    unstorable: Exception | None
    """Set by a write that could not be encoded; checkpoints that follow raise it."""

    def has_pending_write(self, namespace: str) -> bool:
        """Return whether a write of this namespace is not on disk yet."""
        ...

    def release_all_writes(self) -> None:
        """Let no write wait for the end of a step any longer."""
        ...

    async def wait_flushed(self) -> None:
        """Wait until all released writes are on disk. Raises what the store raised."""
        ...
