"""The connection to the truth. All of it blocks: `store.Store` runs it in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any


class IndexDatabase:
    """One connection that one thread uses. The modules of queries are functions over it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        writing: AbstractContextManager[Any] | None = None,
    ) -> None:
        """`writing` is held while something is committed."""
        self.connection = connection
        self.writing = writing or nullcontext()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """All of it or nothing. `kind` "DEFERRED" with reads alone: one consistent view."""
        with nullcontext() if kind == "DEFERRED" else self.writing:
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Fetch rows of one to three columns, to be unpacked."""
        return self.connection.execute(sql, parameters).fetchall()

    def named_rows(self, sql: str, *parameters: Any) -> Iterator[dict[str, Any]]:
        """Fetch rows by the names of their columns."""
        cursor = self.connection.execute(sql, parameters)
        names = [column for column, *_ in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
