"""Which ids a thread may have: not a run's, which is told in webhooks, logs and artifacts."""

from __future__ import annotations

from config.errors import Conflict
from runs.store import RunStore


def check_thread_name(store: RunStore, thread_id: str, *, tenant: str) -> None:
    """Check that a new thread's id is no run's. Raises `Conflict` (`thread_names_run`).

    Whoever knew a run's id could else take the run for a thread, or a thread for the run.
    """
    if store.find_run(thread_id, tenant=tenant):
        raise Conflict(
            f"{thread_id} is the id of a run, and no thread's.",
            code="thread_names_run",
            details={"field": "thread_id"},
        )
