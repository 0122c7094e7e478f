"""Notes every statement that SQLite is given, and how much work each of them was."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

QUERY = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


class StatementLog:
    """`steps` has for each statement the instructions that each of its executions took."""

    def __init__(self) -> None:
        self.steps: defaultdict[str, list[int]] = defaultdict(list)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record on every connection that is opened meanwhile, until it is closed."""
        connect = sqlite3.connect
        with patch("sqlite3.connect", partial(connect, factory=partial(_Recording, self))):
            yield

    def queries(self) -> list[str]:
        """List what was executed, apart from what steers SQLite."""
        return [sql for sql in self.steps if QUERY.match(sql)]


class _Recording(sqlite3.Connection):
    def __init__(self, log: StatementLog, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._log = log
        self._current: list[int] = [0]
        self.set_progress_handler(self._count, 1)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._begin(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        self._begin(sql)
        return super().executemany(sql, rows)

    def cursor(self, *args: Any) -> Any:
        return super().cursor(partial(_RecordingCursor, self))

    def _begin(self, sql: str) -> None:
        self._current = self._log.steps[sql]
        self._current.append(0)

    def _count(self) -> int:
        # A cursor that is read later than the next statement begins counts for that one.
        self._current[-1] += 1
        return 0


class _RecordingCursor(sqlite3.Cursor):
    """As `aiosqlite` uses them."""

    def __init__(self, recorder: _Recording, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._recorder = recorder

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._recorder._begin(sql)
        return super().execute(sql, *parameters)


def explain(connection: sqlite3.Connection, sql: str) -> list[str]:
    """List the lines of a statement's plan."""
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))
    return [line for *_, line in rows]


def find_unbounded(plan: Iterable[str]) -> list[str]:
    """List what in a plan walks a whole table, or sorts what a statement has found."""
    lines = list(plan)
    made = {line.split()[1] for line in lines if line.startswith(("CO-ROUTINE ", "MATERIALIZE "))}
    return [line for line in lines if _is_unbounded(line, made)]


def _is_unbounded(line: str, made: set[str]) -> bool:
    if line.startswith("USE TEMP B-TREE"):
        return True
    if not line.startswith("SCAN "):
        return False
    # Parameters that hold JSON are tables too, and so are the results of parts of a statement.
    return " VIRTUAL TABLE " not in line and line.split()[1] not in {"CONSTANT", *made}
