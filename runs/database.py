"""One SQLite file: a writing thread with group commit, and readers that never wait for it.

Owns the connections, the order of writes and their commits; statements and tables are its users'.

Invariants:
- Writes are committed in the order of the `write` calls, each whole or not at all.
- Futures of writes end in the same order, after the commit.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from config.errors import Unavailable
from config.file_identity import LOST, FileIdentity
from runs.schema import prepare
from runs.wal import WAL_LIMIT_BYTES, WalBound, truncate_log

log = logging.getLogger(__name__)

Result = TypeVar("Result")

GROUP_LIMIT = 512
"""Writes that share one commit at most, so that the first of them does not wait for long."""
_REFUSALS = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""SQLite's codes for a disk or file that takes no writes now, whatever the statement."""
BUSY_TIMEOUT_S = 30
"""How long a connection waits for SQLite's lock: LangGraph's saver has one of its own."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement; with `many`, `parameters` is a sequence of rows, one execution each."""

    sql: str
    parameters: Sequence[Any] = ()
    many: bool = False

    def execute_on(self, connection: sqlite3.Connection) -> None:
        (connection.executemany if self.many else connection.execute)(self.sql, self.parameters)


@dataclass(slots=True)
class _Write:
    statements: Sequence[Statement]
    done: asyncio.Future[None]
    error: BaseException | None = None


class RunDatabase:
    """The connections to the run database. Its methods belong to the event loop's thread.

    With durability `process` a commit survives a killed process (it is in the system's page
    cache); with `power` it survives a power loss, for an fsync with each group.
    """

    def __init__(self, path: Path, durability: Literal["process", "power"]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[list[_Write] | None] = SimpleQueue()
        """Groups for the writing thread; None ends it."""
        self._gathered: list[_Write] = []
        self._writing = _connect(path, durability)
        self._identity = FileIdentity(path)
        self._wal = WalBound(path)
        self._inline_reader = _connect(path, durability)
        self._thread_reader = _connect(path, durability)
        self._read_pool = ThreadPoolExecutor(1, thread_name_prefix="runs-read")
        self._thread = threading.Thread(target=self._write_groups, name="runs-write", daemon=True)
        self._thread.start()

    def write(self, *statements: Statement) -> asyncio.Future[None]:
        """Queue one transaction and return at once; the future ends when it is committed.

        All its statements are applied or none, and cancelling the future does not take them back.
        The future raises `Unavailable` (`run_storage_failed`) when the disk does not take it, and
        for a write that is at fault itself what it raised, such as `sqlite3.IntegrityError`.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        # What is written in one turn of the event loop wakes the thread once.
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Write(statements, done))
        return done

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Read one row by key. Blocks for about 10 µs, a sixth of the way to a thread and back.

        In WAL mode a read never waits for a writer.
        """
        row: tuple[Any, ...] | None = self._inline_reader.execute(sql, parameters).fetchone()
        return row

    def rows_inline(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read the rows of one key. Blocks: for a handful of small rows only."""
        return self._inline_reader.execute(sql, parameters).fetchall()

    async def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Scan for rows in the reading thread, one scan at a time."""
        return await self.read(lambda reader: reader.execute(sql, parameters).fetchall())

    async def read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a query, and what is made of its rows, in the reading thread.

        The query must leave no cursor open: the log could not be cut.
        """
        return await self._loop.run_in_executor(self._read_pool, query, self._thread_reader)

    async def fold_log(self) -> None:
        """Write the log into the file, which shrinks by its free pages; readers may prevent it."""
        await self._loop.run_in_executor(self._read_pool, truncate_log, self._thread_reader)

    async def close(self) -> None:
        """Commit what is queued, then close the connections. Nothing may be written afterwards."""
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._read_pool.shutdown()
        for connection in (self._writing, self._inline_reader, self._thread_reader):
            connection.close()

    def _write_groups(self) -> None:
        while (group := self._next_group()) is not None:
            try:
                self._commit(group)
            except Exception:
                # The group is rolled back. One bad write must not fail its neighbours: each gets a
                # commit of its own, still in order. Not SQLite's errors alone: a value that it
                # cannot hold raises others, and none may end this thread, or all writes would hang.
                for write in group:
                    self._commit_alone(write)
            self._loop.call_soon_threadsafe(_complete, group)
            self._wal.apply(self._writing)

    def _next_group(self) -> list[_Write] | None:
        group = self._queue.get()
        while group is not None and len(group) < GROUP_LIMIT:
            try:
                more = self._queue.get_nowait()
            except Empty:
                break
            if more is None:
                self._queue.put(None)  # for the next call, which ends the thread
                break
            group += more
        return group

    def _commit(self, group: Sequence[_Write]) -> None:
        if self._identity.is_lost():
            raise sqlite3.OperationalError(LOST)
        self._writing.execute("BEGIN IMMEDIATE")
        try:
            for write in group:
                for statement in write.statements:
                    statement.execute_on(self._writing)
            self._writing.execute("COMMIT")
        except BaseException:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            raise

    def _commit_alone(self, write: _Write) -> None:
        try:
            self._commit([write])
        except Exception as error:
            write.error = error


@contextmanager
def reading(reader: sqlite3.Connection) -> Iterator[None]:
    """Let several statements see the database at one moment."""
    reader.execute("BEGIN")
    try:
        yield
    finally:
        reader.execute("COMMIT")


def is_refusal(error: BaseException) -> bool:
    """Return whether the disk or the file refused a write; else the write itself is at fault."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    # The lower byte is the primary code. An error without one was not raised by SQLite itself.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    return code in _REFUSALS and not isinstance(error, sqlite3.IntegrityError)


def _complete(group: Sequence[_Write]) -> None:
    """End the futures of committed or refused writes, in order, on the event loop."""
    for write in group:
        if write.done.cancelled():
            continue  # nobody waits any more; the write stands
        if write.error is None:
            write.done.set_result(None)
        elif not is_refusal(write.error):
            write.done.set_exception(write.error)
        else:
            log.error("the run database refused a write: %s", write.error)
            failure = Unavailable(
                f"The run database cannot be written: {write.error}. Free some disk space or mend "
                "the data folder; runs under way continue then by themselves.",
                code="run_storage_failed",
            )
            failure.__cause__ = write.error
            write.done.set_exception(failure)


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
    return connection


@asynccontextmanager
async def open_run_database(
    path: Path, durability: Literal["process", "power"] = "process"
) -> AsyncIterator[RunDatabase]:
    """Open the database at `path`, made when it is missing and migrated when it is older.

    On exit it is closed, with all writes in it. Raises `Unavailable` for one that cannot be opened
    (`run_storage_failed`) or that a newer version made (`run_storage_version`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        await asyncio.to_thread(prepare, path)
        database = RunDatabase(path, durability)
    except sqlite3.Error as error:
        raise Unavailable(
            f"The run database {path} cannot be opened: {error}.", code="run_storage_failed"
        ) from error
    try:
        yield database
    finally:
        await database.close()
