"""Ingests that were accepted: one at a time into an index, and none forgotten by a crash."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from config.errors import Busy, MotetError, NotFound
from indexes.records import Index, IngestReport, Progress
from indexes.storage.database import Database
from indexes.storage.store import Store
from indexes.storage.tables import Tables

log = logging.getLogger(__name__)

Kind = Literal["folder", "crawl"]
State = Literal["running", "finished", "failed", "cancelled"]

MAX_WAITING = 32
KEPT = 20
"""Ended ingests remembered for each index."""
NOTE_AFTER_S = 1.0
"""Progress is written down this often at most: each time is a commit."""


@dataclass(frozen=True, slots=True)
class IngestState:
    """An ingest that was accepted. `origin` is the folder or the address it began with."""

    id: str
    index: str
    kind: Kind
    origin: str
    state: State
    started_at: float
    files_done: int
    files_total: int
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_STATES = """
    SELECT n.id, i.name, n.kind, n.origin, n.state, n.started_at, n.files_done, n.files_total,
        n.error, i.tenant
    FROM ingests n JOIN indexes i ON i.id = n.index_id"""
_BEGIN = """
    INSERT INTO ingests (id, index_id, kind, origin, state, started_at)
    VALUES (?, ?, ?, ?, 'running', ?)"""
_FORGET = """
    DELETE FROM ingests WHERE index_id = ?1 AND state != 'running' AND id NOT IN (
        SELECT id FROM ingests WHERE index_id = ?1 ORDER BY started_at DESC LIMIT ?2)"""


def begin(database: Database, index_id: str, kind: Kind, origin: str) -> str:
    """The id of the ingest, accepted for good."""
    id = uuid.uuid4().hex
    with database.transaction() as connection:
        connection.execute(_BEGIN, (id, index_id, kind, origin, time.time()))
        connection.execute(_FORGET, (index_id, KEPT))
    return id


def advance(database: Database, id: str, files_done: int, files_total: int) -> None:
    query = "UPDATE ingests SET files_done = ?, files_total = ? WHERE id = ?"
    database.connection.execute(query, (files_done, files_total, id))


def end(database: Database, id: str, state: State, error: str | None = None) -> None:
    query = "UPDATE ingests SET state = ?, error = ? WHERE id = ? AND state = 'running'"
    database.connection.execute(query, (state, error, id))


def states(database: Database, index_id: str) -> list[IngestState]:
    """The ingests of an index, the latest first."""
    rows = database.rows(f"{_STATES} WHERE i.id = ? ORDER BY n.started_at DESC", index_id)
    return [IngestState(*row[:-1]) for row in rows]


def unfinished(database: Database) -> list[tuple[IngestState, str]]:
    """Those that a process left running, each with its tenant, in the order they began."""
    rows = database.rows(f"{_STATES} WHERE n.state = 'running' ORDER BY n.started_at")
    return [(IngestState(*row[:-1]), str(row[-1])) for row in rows]


Work = Callable[[Callable[[Progress], None]], Awaitable[IngestReport]]


class Ingests:
    """Notes what was accepted, and runs what is to go on by itself. `close` keeps it for the
    next start."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns: dict[str, asyncio.Lock] = {}
        self._waiting = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._closing = False

    @asynccontextmanager
    async def turn(self, index: Index) -> AsyncIterator[None]:
        """One ingest into an index at a time; the others wait, a bounded number of them."""
        if self._waiting >= MAX_WAITING:
            raise Busy(
                "Too many documents are being indexed.", code="queue_full", retry_after_s=5.0
            )
        lock = self._turns.setdefault(index.id, asyncio.Lock())
        self._waiting += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting -= 1

    async def run(
        self,
        index: Index,
        origin: str,
        work: Work,
        tell: Callable[[Progress], None],
        kind: Kind = "folder",
    ) -> IngestReport:
        """Do the work of an ingest; what becomes of it is written down. Cut short by a crash or
        by `close`, it is found unfinished at the next start."""
        id = await self._store(begin, index.id, kind, origin)
        return await self._watched(id, work, tell)

    async def begin(self, index: Index, origin: str, work: Work, kind: Kind = "folder") -> str:
        """`run` in the background; the id of the ingest, accepted for good."""
        id = await self._store(begin, index.id, kind, origin)
        self.go_on(id, f"indexes ingest {index.spec.name}", work)
        return id

    def go_on(self, id: str, name: str, work: Work) -> None:
        """Do an ingest that was accepted before, in the background, unless it is running."""
        if id in self._tasks:
            return
        task = asyncio.create_task(self._in_background(id, name, work), name=name)
        self._tasks[id] = task
        task.add_done_callback(lambda _: self._tasks.pop(id, None))

    async def cancel(self, index: Index, id: str) -> None:
        """End an ingest that runs in the background; what it committed stays. Raises `NotFound`."""
        known = {each.id for each in await self._store(states, index.id)}
        if id not in known:
            raise NotFound(
                f"The index '{index.spec.name}' has no ingest '{id[:80]}'.",
                code="ingest_not_found",
                details={"field": "ingest"},
            )
        if task := self._tasks.get(id):
            task.cancel()
            await asyncio.wait([task])
        await self._store(end, id, "cancelled")

    async def forget(self, index: Index) -> None:
        """End what still fills an index that is being deleted."""
        for each in await self._store(states, index.id):
            if task := self._tasks.get(each.id):
                task.cancel()
                await asyncio.wait([task])

    def pause(self) -> None:
        """From now on, what is cut short stays unfinished and goes on at the next start."""
        self._closing = True

    async def close(self) -> None:
        """Stop; what runs in the background stays unfinished and goes on at the next start."""
        self.pause()
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        if pending := [*tasks, *self._notes]:
            await asyncio.wait(pending)

    async def _in_background(self, id: str, name: str, work: Work) -> None:
        try:
            await self._watched(id, work, lambda progress: None)
        except MotetError as error:
            log.warning("%s failed: %s", name, error)
        except Exception:
            log.exception("%s failed", name)

    async def _watched(self, id: str, work: Work, tell: Callable[[Progress], None]) -> IngestReport:
        noted_at = time.monotonic()
        last = Progress(0, 0, 0, 0)

        def told(progress: Progress) -> None:
            nonlocal noted_at, last
            last = progress
            if time.monotonic() - noted_at >= NOTE_AFTER_S and not self._notes:
                noted_at = time.monotonic()
                self._note(id, progress)
            tell(progress)

        try:
            report = await work(told)
        except asyncio.CancelledError:
            if not self._closing:
                await self._ended(id, last, "cancelled", None)
            raise
        except Exception as error:
            await self._ended(id, last, "failed", str(error))
            raise
        await self._ended(id, last, "finished", None)
        return report

    async def _ended(self, id: str, last: Progress, state: State, error: str | None) -> None:
        await self._store(advance, id, last.files_done, last.files_total)
        await self._store(end, id, state, error)

    def _note(self, id: str, progress: Progress) -> None:
        work = self._store(advance, id, progress.files_done, progress.files_total)
        task = asyncio.create_task(work, name="indexes ingest progress")
        self._notes.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Task[None]) -> None:
        self._notes.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("the progress of an ingest cannot be written down: %s", error)


class Crawls:
    """Crawls that were accepted, watched as every ingest is. Whoever crawls hands the work in, and
    goes on at a start with those that are `unfinished`."""

    def __init__(self, store: Store, ingests: Ingests) -> None:
        self._store = store
        self._ingests = ingests

    async def run(
        self,
        name: str,
        origin: str,
        work: Work,
        tell: Callable[[Progress], None],
        *,
        tenant: str = "default",
    ) -> IngestReport:
        """Do the work of a crawl; `origin` is all that is needed to go on with it."""
        index = await self._store(Tables.index, tenant, name)
        return await self._ingests.run(index, origin, work, tell, "crawl")

    async def begin(self, name: str, origin: str, work: Work, *, tenant: str = "default") -> str:
        """`run` in the background; the id of the crawl."""
        index = await self._store(Tables.index, tenant, name)
        return await self._ingests.begin(index, origin, work, "crawl")

    def go_on(self, state: IngestState, work: Work) -> None:
        """Do a crawl that was accepted before, in the background."""
        self._ingests.go_on(state.id, f"indexes crawl {state.index}", work)

    async def unfinished(self) -> list[tuple[IngestState, str]]:
        """Those that an earlier process left running, each with its tenant."""
        found = await self._store(unfinished)
        return [(state, tenant) for state, tenant in found if state.kind == "crawl"]
