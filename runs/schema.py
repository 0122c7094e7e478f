"""The tables of runs, events and threads, and the version of their layout.

`user_version` of the file counts layouts. LangGraph's tables (`checkpoints`, `writes`) lie in the
same file and are its saver's; of them the names of threads alone are changed here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from config.errors import Unavailable
from config.migrations import Steps, migrate, read_version
from runs.metadata_index import METADATA_INDEX
from runs.wal import INCREMENTAL, enable_shrinking

VERSION = 7
"""The layout that this version of Motet reads and writes."""

TABLES = """
CREATE TABLE IF NOT EXISTS agent_versions (
    version TEXT PRIMARY KEY, name TEXT NOT NULL, sources TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS threads (
    thread_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, agent TEXT, metadata TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, agent TEXT NOT NULL, version TEXT NOT NULL,
    thread_id TEXT NOT NULL, own_thread INTEGER NOT NULL, status TEXT NOT NULL,
    attempt INTEGER NOT NULL, input TEXT NOT NULL, created_at REAL NOT NULL, checkpoint_id TEXT,
    resume TEXT, output TEXT, error TEXT, interrupts TEXT, multitask TEXT NOT NULL, webhook TEXT,
    metadata TEXT NOT NULL, started_at REAL, ended_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_status ON runs (status, created_at);
CREATE INDEX IF NOT EXISTS runs_by_thread ON runs (thread_id, created_at);
CREATE TABLE IF NOT EXISTS idempotency (
    tenant TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL, request TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    run_id TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, batch BLOB NOT NULL,
    PRIMARY KEY (run_id, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    run_id TEXT NOT NULL, step TEXT NOT NULL, PRIMARY KEY (run_id, step)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    run_id TEXT PRIMARY KEY, url TEXT NOT NULL
) WITHOUT ROWID;
"""

RETENTION = """
ALTER TABLE deliveries ADD COLUMN state TEXT NOT NULL DEFAULT 'pending';
ALTER TABLE deliveries ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN next_at REAL NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN status INTEGER;
ALTER TABLE deliveries ADD COLUMN error TEXT;
CREATE INDEX deliveries_due ON deliveries (state, next_at);
ALTER TABLE threads ADD COLUMN ttl_s REAL;
ALTER TABLE idempotency ADD COLUMN created_at REAL NOT NULL DEFAULT 0;
UPDATE idempotency SET created_at = strftime('%s', 'now');
CREATE TABLE saved_agents (
    name TEXT NOT NULL, version TEXT NOT NULL, sources TEXT NOT NULL, modules TEXT NOT NULL,
    created_at REAL NOT NULL, PRIMARY KEY (name, version)
) WITHOUT ROWID;
INSERT INTO saved_agents SELECT name, version, sources, '{}', coalesce(
    (SELECT min(created_at) FROM runs WHERE runs.version = agent_versions.version),
    strftime('%s', 'now')
) FROM agent_versions;
DROP TABLE agent_versions;
ALTER TABLE saved_agents RENAME TO agent_versions
"""
"""From version 1: webhooks are kept until they are delivered and after, threads have a lifetime,
keys an age, and an agent's versions hold what was written in Python too."""


TENANT_KEYS = """
CREATE TABLE threads_by_tenant (
    thread_id TEXT NOT NULL, tenant TEXT NOT NULL, agent TEXT, metadata TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, ttl_s REAL,
    PRIMARY KEY (tenant, thread_id)
) WITHOUT ROWID;
INSERT INTO threads_by_tenant SELECT thread_id, tenant, agent, metadata, created_at, updated_at,
    ttl_s FROM threads;
DROP TABLE threads;
ALTER TABLE threads_by_tenant RENAME TO threads;
DROP INDEX runs_by_thread;
CREATE INDEX runs_by_thread ON runs (tenant, thread_id, created_at)
"""
"""From version 3: ids of threads are unique within a tenant alone."""
CHECKPOINT_KEYS = """
UPDATE {table} SET thread_id = coalesce(
    (SELECT tenant || '/' || threads.thread_id FROM threads
        WHERE threads.thread_id = {table}.thread_id),
    (SELECT tenant || '/run:' || run_id FROM runs WHERE run_id = {table}.thread_id AND own_thread),
    thread_id
)
"""
"""From version 3: LangGraph's tables name threads by their keys (`record.thread_key`)."""
ORDERS = """
DROP INDEX runs_by_status;
DROP INDEX runs_by_thread;
CREATE INDEX runs_by_tenant ON runs (tenant);
CREATE INDEX runs_by_agent ON runs (tenant, agent);
CREATE INDEX runs_by_agent_status ON runs (tenant, agent, status);
CREATE INDEX runs_by_status ON runs (status, tenant);
CREATE INDEX runs_by_thread ON runs (tenant, thread_id);
CREATE INDEX runs_waiting ON runs (tenant, thread_id) WHERE status = 'waiting';
CREATE INDEX runs_by_end ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX threads_by_use ON threads (tenant, updated_at DESC);
CREATE INDEX threads_by_age ON threads (updated_at);
CREATE INDEX threads_by_expiry ON threads (updated_at + ttl_s) WHERE ttl_s IS NOT NULL;
CREATE INDEX idempotency_by_run ON idempotency (run_id);
CREATE INDEX idempotency_by_age ON idempotency (created_at)
"""
"""From version 5: each list is read in the order of an index, which ends with the table's key."""
PARTS = """
CREATE TABLE parts (
    thread_id TEXT NOT NULL, part_id INTEGER NOT NULL, checkpoint_id TEXT NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (thread_id, part_id)
);
CREATE TABLE events_with_rowid (
    run_id TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, batch BLOB NOT NULL,
    PRIMARY KEY (run_id, first)
);
INSERT INTO events_with_rowid SELECT run_id, first, last, batch FROM events;
DROP TABLE events;
ALTER TABLE events_with_rowid RENAME TO events;
ALTER TABLE runs ADD COLUMN output_parts TEXT
"""
"""From version 6: what states hold is stored in parts, to which outputs of runs refer. Batches of
events lie in a table with row ids, whose pages hold rows of up to 4 kB: most took one each."""


def _create_tables(connection: sqlite3.Connection) -> None:
    """Lay out an empty file, or complete one from before versions were counted."""
    for statement in TABLES.split(";"):
        connection.execute(statement)


def _add_retention(connection: sqlite3.Connection) -> None:
    for statement in RETENTION.split(";"):
        connection.execute(statement)


def _count_open_attempts(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN open_attempts INTEGER NOT NULL DEFAULT 0")


def _key_by_tenant(connection: sqlite3.Connection) -> None:
    # First, while the ids of threads are their key still: without it each row would scan them all.
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'writes'").fetchone():
        for table in ("checkpoints", "writes"):
            connection.execute(CHECKPOINT_KEYS.format(table=table))
    for statement in TENANT_KEYS.split(";"):
        connection.execute(statement)


def _key_answers(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE idempotency ADD COLUMN after INTEGER NOT NULL DEFAULT 0")


def _order_lists(connection: sqlite3.Connection) -> None:
    for statement in (*ORDERS.split(";"), *METADATA_INDEX):
        connection.execute(statement)


def _add_parts(connection: sqlite3.Connection) -> None:
    for statement in PARTS.split(";"):
        connection.execute(statement)


STEPS: Steps = {
    0: _create_tables,
    1: _add_retention,
    2: _count_open_attempts,
    3: _key_by_tenant,
    4: _key_answers,
    5: _order_lists,
    6: _add_parts,
}
"""From a version to the next. Files made before versions were counted have version 0, as empty
ones do, and the tables of version 1; `TABLES` are those."""


def prepare(path: Path) -> None:
    """Bring the database at `path` to `VERSION`, made when it is missing. Blocks.

    Raises `Unavailable` (`run_storage_version`) for a newer database, which stays as it is.
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        version = read_version(connection)
        if version == 0:
            # Counts for a database that is empty yet.
            connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
        if version == VERSION or migrate(connection, STEPS, VERSION):
            enable_shrinking(connection, path)
            return
    raise Unavailable(
        f"The run database {path} was made by a newer version of Motet (layout {version}; this "
        f"one reads up to {VERSION}). Start that version, or give another data folder with "
        "MOTET_HOME.",
        code="run_storage_version",
        details={"file": str(path), "version": version},
        permanent=True,
    )
