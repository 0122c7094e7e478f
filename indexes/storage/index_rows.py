"""Indexes in storage: create, find, list, delete. Functions for `store.Store` to run.

Owns the table `indexes`. Which vectors an index uses is `spaces`' business, what it holds
`documents`'.
"""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any

from config.errors import Conflict, NotFound, nearest
from config.quotas import Quota
from indexes.records import IndexInfo, IndexRecord
from indexes.spec import IndexSpec
from indexes.storage.database import IndexDatabase

_RECORD = """
    SELECT i.id, i.tenant, i.spec, i.space, s.fingerprint,
        coalesce(s.dimensions, 0) AS dimensions, i.last_change, i.saved_change,
        e.model AS embedded_with, m.space AS next_space
    FROM indexes i LEFT JOIN spaces s ON s.id = i.space LEFT JOIN embedders e ON e.space = i.space
        LEFT JOIN moves m ON m.index_id = i.id"""
_INFO = """
    SELECT i.spec, count(d.key) AS documents, coalesce(sum(d.passages), 0) AS passages,
        s.fingerprint AS embedded_by
    FROM indexes i LEFT JOIN documents d ON d.index_id = i.id LEFT JOIN spaces s ON s.id = i.space
    WHERE i.tenant = ? AND (? IS NULL OR i.name = ?) GROUP BY i.id ORDER BY i.name"""
_INSERT = "INSERT INTO indexes (id, tenant, name, spec) VALUES (?, ?, ?, ?)"
_NAMES = "SELECT name FROM indexes WHERE tenant = ?"
FORGET_SPACES = """
    DELETE FROM spaces WHERE NOT EXISTS (SELECT 1 FROM indexes i WHERE i.space = spaces.id)
        AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.space = spaces.id)"""
"""Removes vector spaces, with all their vectors, that no index uses or moves to."""
_FORGET_VECTORS = """
    DELETE FROM vectors WHERE NOT EXISTS (
        SELECT 1 FROM passages p JOIN indexes i ON i.id = p.index_id
            LEFT JOIN moves m ON m.index_id = i.id
        WHERE p.hash = vectors.hash AND vectors.space IN (i.space, m.space))"""


def index_deleted() -> NotFound:
    """Build the error for an index that was deleted after the caller looked it up."""
    return NotFound("The index was deleted meanwhile.", code="index_not_found")


def create_index(database: IndexDatabase, tenant: str, spec: IndexSpec, quota: Quota) -> None:
    """Add an empty index. Raises `Conflict` (`index_exists`), `Busy` (`quota_exceeded`)."""
    row = (uuid.uuid4().hex, tenant, spec.name, spec.model_dump_json())
    try:
        with database.transaction() as connection:
            connection.execute(_INSERT, row)
            check_quota(database, tenant, quota)
    except sqlite3.IntegrityError as error:
        raise Conflict(
            f"There is an index '{spec.name}' already.",
            code="index_exists",
            details={"field": "name"},
        ) from error


def check_quota(database: IndexDatabase, tenant: str, quota: Quota, more: int = 0) -> None:
    """Check how many indexes a tenant has, and `more`. Raises `Busy` (`quota_exceeded`)."""
    ((count,),) = database.rows("SELECT count(*) FROM main.indexes WHERE tenant = ?", tenant)
    quota.check(count + more)


def declare_index(database: IndexDatabase, tenant: str, spec: IndexSpec) -> None:
    """Add an index, or give the one of this name this spec."""
    database.connection.execute(
        f"{_INSERT} ON CONFLICT (tenant, name) DO UPDATE SET spec = excluded.spec",
        (uuid.uuid4().hex, tenant, spec.name, spec.model_dump_json()),
    )


def find_index(database: IndexDatabase, tenant: str, name: str) -> IndexRecord:
    """Find an index by its name. Raises `NotFound` (`index_not_found`) with the nearest name."""
    records = _records(database, "i.tenant = ? AND i.name = ?", tenant, name)
    if not records:
        names = [name for (name,) in database.rows(_NAMES, tenant)]
        raise NotFound(
            f"There is no index '{name}'. {nearest(name, names)}",
            code="index_not_found",
            details={"field": "index", "index": name},
        )
    return records[0]


def get_index(database: IndexDatabase, id: str) -> IndexRecord:
    """Read an index as it is now, by its id. Raises `NotFound` if it was deleted."""
    records = _records(database, "i.id = ?", id)
    if not records:
        raise index_deleted()
    return records[0]


def list_indexes(database: IndexDatabase) -> list[IndexRecord]:
    """List the indexes of all tenants."""
    return _records(database, "i.tenant != ''")  # the others are only being imported


def list_moving_indexes(database: IndexDatabase) -> list[IndexRecord]:
    """List the indexes that are being embedded by another model."""
    return _records(database, "m.space IS NOT NULL")


def list_infos(database: IndexDatabase, tenant: str, name: str | None = None) -> list[IndexInfo]:
    """Count the documents and passages of a tenant's indexes, or of the one of this name."""
    return [_info(row) for row in database.named_rows(_INFO, tenant, name, name)]


def delete_index(database: IndexDatabase, id: str) -> None:
    """Delete an index with its documents, and the vectors that nothing else uses."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM indexes WHERE id = ?", (id,))
        connection.execute(FORGET_SPACES)
        connection.execute(_FORGET_VECTORS)


def _records(database: IndexDatabase, condition: str, *parameters: Any) -> list[IndexRecord]:
    rows = database.named_rows(f"{_RECORD} WHERE {condition}", *parameters)
    return [IndexRecord(spec=IndexSpec.model_validate_json(row.pop("spec")), **row) for row in rows]


def _info(row: dict[str, Any]) -> IndexInfo:
    spec = IndexSpec.model_validate_json(row.pop("spec"))
    return IndexInfo(
        name=spec.name,
        description=spec.description,
        folders=list(spec.folders),
        chunk_words=spec.chunk_words,
        model=spec.model,
        weight=spec.weight,
        rerank=spec.rerank,
        watch=spec.watch,
        **row,
    )
