"""Brings a SQLite database's layout up to date where it lies; `user_version` counts layouts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

Steps = Mapping[int, Callable[[sqlite3.Connection], None]]
"""By version, what changes its layout to the next version's; runs within one transaction."""


def read_version(connection: sqlite3.Connection) -> int:
    """Return the layout's version; 0 where none was ever written."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, steps: Steps, target: int) -> bool:
    """Bring the database from its version to `target`, in one transaction.

    Blocks. Returns False, with nothing changed, where no step leads there: the database is newer,
    or older than the oldest step. The connection must not manage transactions by itself.
    """
    version = read_version(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        while version < target and (step := steps.get(version)):
            step(connection)
            version += 1
        connection.execute(f"PRAGMA user_version={version}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT" if version == target else "ROLLBACK")
    return version == target
