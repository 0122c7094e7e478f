"""Rows of ingests that were accepted: functions for `store.Store` to run.

Owns the table `ingests`. What runs, and what a crash left running, is `ingestion.jobs`' business.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from indexes.storage.database import IndexDatabase

IngestKind = Literal["folder", "crawl"]
IngestStatus = Literal["running", "finished", "failed", "cancelled"]

MAX_ENDED_INGESTS = 20
"""Ended ingests remembered for each index."""


@dataclass(frozen=True, slots=True)
class IngestState:
    """An ingest that was accepted. `origin` is the folder or the address it began with."""

    id: str
    index: str
    kind: IngestKind
    origin: str
    state: IngestStatus
    started_at: float
    files_done: int
    files_total: int
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class UnfinishedIngest(NamedTuple):
    """An ingest that an earlier process left running, with the tenant of its index."""

    state: IngestState
    tenant: str


_STATES = """
    SELECT n.id, i.name AS "index", n.kind, n.origin, n.state, n.started_at, n.files_done,
        n.files_total, n.error
    FROM ingests n JOIN indexes i ON i.id = n.index_id"""
_UNFINISHED = """
    SELECT n.id, i.tenant FROM ingests n JOIN indexes i ON i.id = n.index_id
    WHERE n.state = 'running' ORDER BY n.started_at"""
_BEGIN = """
    INSERT INTO ingests (id, index_id, kind, origin, state, started_at)
    VALUES (?, ?, ?, ?, 'running', ?)"""
_FORGET = """
    DELETE FROM ingests WHERE index_id = ?1 AND state != 'running' AND id NOT IN (
        SELECT id FROM ingests WHERE index_id = ?1 ORDER BY started_at DESC LIMIT ?2)"""


def begin_ingest(database: IndexDatabase, index_id: str, kind: IngestKind, origin: str) -> str:
    """Record an ingest as accepted for good; return its id."""
    id = uuid.uuid4().hex
    with database.transaction() as connection:
        connection.execute(_BEGIN, (id, index_id, kind, origin, time.time()))
        connection.execute(_FORGET, (index_id, MAX_ENDED_INGESTS))
    return id


def record_progress(database: IndexDatabase, id: str, files_done: int, files_total: int) -> None:
    query = "UPDATE ingests SET files_done = ?, files_total = ? WHERE id = ?"
    database.connection.execute(query, (files_done, files_total, id))


def end_ingest(
    database: IndexDatabase, id: str, status: IngestStatus, error: str | None = None
) -> None:
    """Record how an ingest ended, unless that is recorded already."""
    query = "UPDATE ingests SET state = ?, error = ? WHERE id = ? AND state = 'running'"
    database.connection.execute(query, (status, error, id))


def list_ingests(database: IndexDatabase, index_id: str) -> list[IngestState]:
    """List the ingests of an index, the latest first."""
    query = f"{_STATES} WHERE i.id = ? ORDER BY n.started_at DESC"
    return [IngestState(**row) for row in database.named_rows(query, index_id)]


def list_unfinished(database: IndexDatabase) -> list[UnfinishedIngest]:
    """List the ingests of all tenants that a process left running, in the order they began."""
    query = f"{_STATES} WHERE n.id = ?"
    return [
        UnfinishedIngest(IngestState(**row), tenant)
        for id, tenant in database.rows(_UNFINISHED)
        for row in database.named_rows(query, id)
    ]
