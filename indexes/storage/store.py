"""The truth, without blocking the event loop: one thread runs every query, in order."""

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
from indexes.records import STORE_FAILED
from indexes.storage.database import IndexDatabase
from indexes.storage.schema import connect, second
from indexes.storage.scrub import Scrubber
from indexes.storage.tables import Tables

log = logging.getLogger(__name__)
FILE = "indexes.db"
LOG_BYTES = 2**22
"""Grown by so much, the write-ahead log is emptied into the file."""
P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """Runs queries: `await store(Tables.index, tenant, name)`, `store(lookup.documents, id, ...)`.

    `folder` is where the database and the derived indexes lie.
    """

    def __init__(
        self, folder: Path, thread: ThreadPoolExecutor, tables: Tables, scrubber: Scrubber
    ) -> None:
        self.folder = folder
        self._thread = thread
        self._tables = tables
        self._scrubber = scrubber
        self._log_limit_bytes = LOG_BYTES

    async def __call__(
        self, query: Callable[Concatenate[Tables, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The query's answer. When this is cancelled, a query that has begun still completes.

        Raises what the query raises; SQLite's own errors become `Unavailable`.
        """
        try:
            return await self.blocking(lambda: self._answer(query, args, kwargs))
        except sqlite3.Error as error:
            raise _failed(error) from error

    async def beside(self, work: Callable[[IndexDatabase], T]) -> T:
        """Long work on a connection of its own, while queries go on.

        Raises as `__call__` does. When this is cancelled, it still waits for the work's end.
        """
        running = asyncio.ensure_future(asyncio.to_thread(self._on_second, work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
        except sqlite3.Error as error:
            raise _failed(error) from error
        finally:
            # What was deleted meanwhile could not leave the log under a reader.
            await self.purge()

    async def purge(self) -> None:
        """Take what was deleted out of the database's files; while somebody reads or writes for
        long, `beside`, at the end of that."""
        await self.blocking(self._purge)

    async def blocking(self, work: Callable[[], T]) -> T:
        """Run other blocking work (files) in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Blocks."""
        self._purge()
        self._tables.close()

    def _answer(
        self,
        query: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        answer = query(self._tables, *args, **kwargs)
        if self._scrubber.log_bytes() > self._log_limit_bytes:
            self._purge()
        return answer

    def _on_second(self, work: Callable[[IndexDatabase], T]) -> T:
        connection = second(self.folder / FILE)
        with closing(IndexDatabase(connection, self._scrubber.writing)) as database:
            return work(database)

    def _purge(self) -> None:
        try:
            emptied = self._scrubber.checkpoint(self._tables.connection)
        except (sqlite3.Error, OSError) as error:
            # What was committed stands in the log, and stays there.
            log.error("the log of the index database cannot be emptied: %s", error)
            emptied = False
        held = 0 if emptied else self._scrubber.log_bytes()
        self._log_limit_bytes = held + LOG_BYTES


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
    """The store in `folder`, made when it is missing.

    Raises `Conflict` when another process has it open: the derived indexes allow one owner only.
    """
    lock = _claimed(folder)
    thread = ThreadPoolExecutor(1, thread_name_prefix="indexes-store")
    run = asyncio.get_running_loop().run_in_executor
    path = folder / FILE
    try:
        with closing(Scrubber(path)) as scrubber:
            tables = Tables(await run(thread, connect, path, durability, scrubber))
            store = Store(folder, thread, tables, scrubber)
            try:
                yield store
            finally:
                await run(thread, store.close)
    finally:
        thread.shutdown()
        os.close(lock)


def _claimed(folder: Path) -> int:
    """The descriptor that holds the lock; the system lets go of it however the process ends."""
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
