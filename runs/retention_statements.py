"""Statements that find and delete what has grown old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from runs.database import Statement
from runs.rows import json_text

OF_TENANT = "(? IS NULL OR tenant = ?)"
RUN_TABLES = ("events", "idempotency", "deliveries", "claims", "runs")
"""Every table with rows of a run, that of the runs last."""

EXPIRED_RUNS = f"""
SELECT run_id FROM runs AS old
WHERE ended_at < ? AND {OF_TENANT}
AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE deliveries.run_id = old.run_id AND state = 'pending'
)
AND (own_thread OR EXISTS (
    SELECT 1 FROM runs AS later
    WHERE later.tenant = old.tenant AND later.thread_id = old.thread_id
    AND later.run_id > old.run_id
))
"""
RUNS_OF_THREAD = "SELECT run_id FROM runs WHERE tenant = ? AND thread_id = ? AND NOT own_thread"
OLDEST_UNENDED = "SELECT min(created_at) FROM runs WHERE status IN ('queued', 'running')"
EXPIRED_KEYS = f"SELECT count(*) FROM idempotency WHERE created_at < ? AND {OF_TENANT}"

_IS_UNUSED = """
NOT EXISTS (
    SELECT 1 FROM runs WHERE runs.tenant = threads.tenant
    AND runs.thread_id = threads.thread_id AND NOT own_thread AND ended_at IS NULL
)
"""
_IS_EXPIRED = f"(updated_at < ? OR updated_at + ttl_s < ?) AND {_IS_UNUSED}"
EXPIRED_THREADS = tuple(
    f"SELECT tenant, thread_id FROM threads WHERE {is_old} AND {_IS_UNUSED} AND {OF_TENANT}"
    for is_old in ("updated_at < ?", "ttl_s IS NOT NULL AND updated_at + ttl_s < ?")
)
"""Those that were used last before a time, and those whose lifetime has ended before one."""


class Scan(NamedTuple):
    """A table read page by page.

    Its rows are the columns of the key, of which `first` is before all, then the owner (the id of a
    run, the key of a thread), then values.
    """

    sql: str
    first: tuple[Any, ...]


SCANS = (
    Scan(
        "SELECT run_id, run_id, input, output, error, interrupts, resume, metadata FROM runs "
        "WHERE run_id > ? ORDER BY run_id LIMIT 100",
        ("",),
    ),
    Scan(
        "SELECT run_id, first, run_id, batch FROM events WHERE (run_id, first) > (?, ?) "
        "ORDER BY run_id, first LIMIT 100",
        ("", 0),
    ),
    Scan(
        "SELECT rowid, thread_id, checkpoint FROM checkpoints WHERE rowid > ? "
        "ORDER BY rowid LIMIT 50",
        (-1,),
    ),
    Scan("SELECT rowid, thread_id, data FROM parts WHERE rowid > ? ORDER BY rowid LIMIT 50", (-1,)),
    Scan(
        "SELECT tenant, thread_id, tenant || '/' || thread_id, metadata FROM threads "
        "WHERE (tenant, thread_id) > (?, ?) ORDER BY tenant, thread_id LIMIT 100",
        ("", ""),
    ),
    Scan(
        "SELECT rowid, thread_id, value FROM writes WHERE rowid > ? ORDER BY rowid LIMIT 100",
        (-1,),
    ),
)
"""Everywhere an artifact may be named."""


def expired_thread(
    thread_id: str, before: float | None, now: float, *, tenant: str
) -> tuple[str, tuple[Any, ...]]:
    """Return the query of one thread, which has a row where it is expired."""
    return (
        f"SELECT 1 FROM threads WHERE {_IS_EXPIRED} AND tenant = ? AND thread_id = ?",
        (before, now, tenant, thread_id),
    )


def delete_runs(run_ids: Sequence[str], *, tenant: str | None) -> list[Statement]:
    """Delete runs with their events, keys, webhooks and claims; not their threads' state.

    Only those of the tenant; of all tenants with None.
    """
    among = (
        "run_id IN (SELECT run_id FROM runs "
        f"WHERE run_id IN (SELECT value FROM json_each(?)) AND {OF_TENANT})"
    )
    parameters = (json_text(list(run_ids)), tenant, tenant)
    return [Statement(f"DELETE FROM {table} WHERE {among}", parameters) for table in RUN_TABLES]


def delete_thread(thread_id: str, *, tenant: str) -> list[Statement]:
    """Delete a thread with its runs and all that belongs to them; not its checkpoints."""
    of_thread = (
        "run_id IN (SELECT run_id FROM runs WHERE tenant = ? AND thread_id = ? AND NOT own_thread)"
    )
    thread = (tenant, thread_id)
    return [
        *(Statement(f"DELETE FROM {table} WHERE {of_thread}", thread) for table in RUN_TABLES),
        Statement("DELETE FROM threads WHERE tenant = ? AND thread_id = ?", thread),
    ]


def delete_keys(before: float, tenant: str | None) -> Statement:
    """Delete the idempotency keys that were given before a time."""
    return Statement(
        f"DELETE FROM idempotency WHERE created_at < ? AND {OF_TENANT}", (before, tenant, tenant)
    )
