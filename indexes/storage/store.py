"""Runs queries without blocking the event loop: one thread, one connection, in order.

Owns the lock of the data folder's indexes, the write-ahead log's size and when it is emptied. What
is asked is a function of `index_rows`, `spaces`, `documents`, `changes`, `lookup`, `ingests`.

Invariants: one thread writes, so queries need no lock among themselves and each sees all before it;
long reads and imports run beside it on connections of their own, whose commits hold the write lock.
What is deleted leaves the files as soon as no reader needs it (`Scrubber`).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from config.errors import Conflict, Unavailable
from config.file_identity import LOST, FileIdentity
from indexes.records import STORE_FAILED
from indexes.storage.database import IndexDatabase
from indexes.storage.schema import connect, connect_again
from indexes.storage.scrub import Scrubber

log = logging.getLogger(__name__)
FILE_NAME = "indexes.db"
LOG_GROWTH_BYTES = 2**22
"""Grown by so much, the write-ahead log is emptied into the file."""
P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """Runs queries: `await store(index_rows.find_index, tenant, name)`.

    `folder` is where the database and the derived indexes lie.
    """

    def __init__(
        self, folder: Path, thread: ThreadPoolExecutor, database: IndexDatabase, scrubber: Scrubber
    ) -> None:
        self.folder = folder
        self._thread = thread
        self._database = database
        self._scrubber = scrubber
        self._log_limit_bytes = LOG_GROWTH_BYTES

    async def __call__(
        self, query: Callable[Concatenate[IndexDatabase, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query and return its answer.

        Cancelled, it still completes if it has begun. Raises what the query raises; SQLite's own
        errors become `Unavailable` (`index_storage_failed`).
        """
        try:
            return await self.blocking(lambda: self._answer(query, args, kwargs))
        except sqlite3.Error as error:
            raise _failed(error) from error

    async def beside(self, work: Callable[[IndexDatabase], T]) -> T:
        """Run long work on a connection of its own, while queries go on.

        Raises as `__call__` does. Cancelled, it still waits for the work's end.
        """
        running = asyncio.ensure_future(asyncio.to_thread(self._run_beside, work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # A thread cannot be stopped: nobody may close what it uses before it is through.
            await asyncio.wait([running])
            raise
        except sqlite3.Error as error:
            raise _failed(error) from error
        finally:
            # What was deleted meanwhile could not leave the log under a reader.
            await self.purge()

    async def purge(self) -> None:
        """Take what was deleted out of the database's files.

        While work `beside` reads or writes, that does it when it ends.
        """
        await self.blocking(self._purge)

    async def blocking(self, work: Callable[[], T]) -> T:
        """Run other blocking work (files) in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Empty the log and close the connection. Blocks; runs in the store's thread."""
        self._purge()
        self._database.close()

    def _answer(
        self,
        query: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        answer = query(self._database, *args, **kwargs)
        if self._scrubber.log_bytes() > self._log_limit_bytes:
            self._purge()
        return answer

    def _run_beside(self, work: Callable[[IndexDatabase], T]) -> T:
        identity = self._database.identity
        if identity.is_lost():
            raise sqlite3.OperationalError(LOST)  # SQLite would make a new one
        connection = connect_again(self.folder / FILE_NAME)
        with closing(IndexDatabase(connection, identity, self._scrubber.write_lock)) as database:
            return work(database)

    def _purge(self) -> None:
        try:
            emptied = self._scrubber.checkpoint(self._database.connection)
        except (sqlite3.Error, OSError) as error:
            # What was committed stays in the log, from which SQLite reads it as well.
            log.error("the log of the index database cannot be emptied: %s", error)
            emptied = False
        # A log that cannot be emptied now is tried again when it has grown, not at each query.
        held_bytes = 0 if emptied else self._scrubber.log_bytes()
        self._log_limit_bytes = held_bytes + LOG_GROWTH_BYTES


def _failed(error: sqlite3.Error) -> Unavailable:
    log.error("the index database failed: %s", error)
    return Unavailable(
        f"The index database failed: {error}. Free disk space or mend the data folder.",
        code=STORE_FAILED,
    )


@asynccontextmanager
async def open_store(
    folder: Path, durability: Literal["process", "power"] = "process"
) -> AsyncIterator[Store]:
    """Open the store in `folder`, which is created if it is missing.

    Raises `Conflict` (`data_folder_in_use`) when another process has it open: the derived indexes
    allow one owner only.
    """
    lock = _lock_folder(folder)
    thread = ThreadPoolExecutor(1, thread_name_prefix="indexes-store")
    run = asyncio.get_running_loop().run_in_executor
    path = folder / FILE_NAME
    try:
        with closing(Scrubber(path)) as scrubber:
            connection = await run(thread, connect, path, durability, scrubber)
            database = IndexDatabase(connection, FileIdentity(path))
            store = Store(folder, thread, database, scrubber)
            try:
                yield store
            finally:
                await run(thread, store.close)
    finally:
        thread.shutdown()
        os.close(lock)


def _lock_folder(folder: Path) -> int:
    """Lock the folder; return the descriptor that holds the lock.

    The system releases it however the process ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise Conflict(
            f"Another Motet process uses the indexes in {folder}. Talk to it over HTTP or stop it.",
            code="data_folder_in_use",
        ) from error
    return lock
