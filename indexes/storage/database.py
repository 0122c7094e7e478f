"""One connection to the database of the indexes. Everything here blocks: `store` runs it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from config.file_identity import LOST, FileIdentity


class IndexDatabase:
    """One connection, which one thread uses. The modules of queries are functions over it.

    Writes raise `sqlite3.OperationalError` where the database's file is there no longer.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        identity: FileIdentity,
        write_lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        """`write_lock` is held while something is committed, against the scrubber."""
        self.connection = connection
        self.identity = identity
        self.write_lock = write_lock or nullcontext()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Commit everything in the block, or nothing.

        With `kind` "DEFERRED" and reads alone, all of them see the database at one moment.
        """
        with nullcontext() if kind == "DEFERRED" else self.write_lock:
            if kind != "DEFERRED" and self.identity.is_lost():
                raise sqlite3.OperationalError(LOST)
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, as that of a full disk.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Fetch rows of few columns, to be unpacked."""
        return self.connection.execute(sql, parameters).fetchall()

    def named_rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Fetch rows by the names of their columns."""
        cursor = self.connection.execute(sql, parameters)
        names = [name for name, *_ in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
