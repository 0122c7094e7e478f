"""Bounds the write-ahead log of the run database, and lets its file shrink.

SQLite copies the log into the database after every thousand pages, and begins it anew when no
reader needs its old part. A reader that stays keeps it growing; when that reader has ended, the log
is cut to `WAL_LIMIT_BYTES`.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

WAL_LIMIT_BYTES = 32 * 2**20
"""What the log may keep on disk; beyond it the writing thread has it copied and cut."""
TRUNCATE_WAIT_MS = 50
"""How long is waited for readers to leave the log."""
VACUUM_LIMIT_BYTES = 256 * 2**20
"""A database from before pages were given back is rewritten once at a start, up to this size."""
INCREMENTAL = 2
"""The value of `auto_vacuum` with which deleted pages can be given back piece by piece."""


class WalBound:
    """Cuts the log when it has outgrown its bound. Its methods belong to the writing thread."""

    def __init__(self, path: Path, limit_bytes: int = WAL_LIMIT_BYTES) -> None:
        self._file = path.with_name(f"{path.name}-wal")
        self._limit_bytes = limit_bytes
        self._next_bytes = limit_bytes

    def apply(self, connection: sqlite3.Connection) -> None:
        """Cut a log that is too long; where a reader holds it, try after as much again."""
        try:
            size_bytes = self._file.stat().st_size
        except OSError:
            return
        if size_bytes <= self._next_bytes:
            return
        if truncate_log(connection):
            self._next_bytes = self._limit_bytes
        else:
            self._next_bytes = size_bytes + self._limit_bytes
            log.warning(
                "the log of runs.db has grown to %d MiB: something has been reading the database "
                "for long. It is cut when that has ended.",
                size_bytes // 2**20,
            )


def truncate_log(connection: sqlite3.Connection) -> bool:
    """Copy the log into the database and cut it; return whether no reader prevented it. Blocks."""
    (usual_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout={TRUNCATE_WAIT_MS}")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    except sqlite3.Error:  # a full disk: the log stays whole
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout={usual_ms}")


def enable_shrinking(connection: sqlite3.Connection, path: Path) -> None:
    """Let the database give deleted pages back. Blocks; one from before is rewritten for it.

    A large one stays as it is, and so does one for which there is no room on the disk.
    """
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode == INCREMENTAL:
        return
    if path.stat().st_size > VACUUM_LIMIT_BYTES:
        log.info("runs.db is too large to be rewritten at a start; it does not shrink")
        return
    try:
        connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
        connection.execute("VACUUM")
    except sqlite3.Error as error:
        log.warning("runs.db cannot be rewritten and does not shrink: %s", error)
