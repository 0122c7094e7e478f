"""Jobs that ingest: one at a time into an index, none lost by a crash.

Owns the tasks of ingests that run in the background and the lock of each index. What an ingest
does is handed in as `Work`; its row is `storage.ingests`'.

Invariant: an ingest is recorded as running before its work begins, and as ended only by whoever
saw it end. So what a killed process left behind is still `running`, and the next start resumes it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from config.errors import Busy, MotetError, NotFound
from config.quotas import Quota, Usage
from config.redaction import publish_text
from indexes.records import IndexRecord
from indexes.reports import IngestProgress, IngestReport, OnProgress, ignore_progress
from indexes.storage.ingests import (
    IngestKind,
    IngestStatus,
    begin_ingest,
    end_ingest,
    list_ingests,
    record_progress,
)
from indexes.storage.store import Store
from indexes.tasks import cancel_and_wait

log = logging.getLogger(__name__)

MAX_WAITING = 64
"""Ingests, over all indexes, that may hold or wait for an index's lock."""
PROGRESS_INTERVAL_S = 1.0
"""Progress is stored this often at most: each time is a commit."""

Work = Callable[[OnProgress], Awaitable[IngestReport]]
"""What an ingest does; it calls its argument with its progress."""


class IngestJobs:
    """Records ingests, runs them, and cancels them. `close` leaves them to the next start."""

    def __init__(self, store: Store, quota: Quota) -> None:
        self._store = store
        self._index_locks: dict[str, asyncio.Lock] = {}
        self._waiting = 0
        self._usage = Usage(quota)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._progress_writes: set[asyncio.Task[None]] = set()
        self._running: Counter[str] = Counter()
        """By index: accepted ingests that have not ended."""
        self._closing = False

    def is_ingesting(self, record: IndexRecord) -> bool:
        """Tell whether documents that were accepted may not be searchable yet."""
        return self._running[record.id] > 0

    @asynccontextmanager
    async def lock(self, record: IndexRecord) -> AsyncIterator[None]:
        """Hold an index, so that one ingest at a time writes to it; others wait in order.

        Raises `Busy` when too many wait already, of all (`queue_full`) or of the tenant
        (`quota_exceeded`).
        """
        if self._waiting >= MAX_WAITING:
            raise Busy(
                "Too many documents are being indexed.", code="queue_full", retry_after_s=5.0
            )
        lock = self._index_locks.setdefault(record.id, asyncio.Lock())
        with self._usage.hold(record.tenant):
            self._waiting += 1
            try:
                async with lock:
                    yield
            finally:
                self._waiting -= 1

    async def run(
        self,
        record: IndexRecord,
        origin: str,
        work: Work,
        on_progress: OnProgress,
        kind: IngestKind = "folder",
    ) -> IngestReport:
        """Run an ingest and record what becomes of it.

        An ingest that a crash or `close` cuts short is found unfinished at the next start.
        """
        id = await self._store(begin_ingest, record.id, kind, origin)
        return await self._run_recorded(record.id, id, work, on_progress)

    async def begin(
        self, record: IndexRecord, origin: str, work: Work, kind: IngestKind = "folder"
    ) -> str:
        """Start `run` in the background; return the ingest's id, accepted for good."""
        id = await self._store(begin_ingest, record.id, kind, origin)
        self.resume(record.id, id, f"indexes ingest {record.spec.name}", work)
        return id

    def resume(self, index_id: str, id: str, name: str, work: Work) -> None:
        """Run an accepted ingest in a task called `name`, unless it is running."""
        if id in self._tasks:
            return
        running = self._run_in_background(index_id, id, name, work)
        task = asyncio.create_task(running, name=name)
        self._tasks[id] = task
        task.add_done_callback(lambda _: self._tasks.pop(id, None))

    async def cancel(self, record: IndexRecord, id: str) -> None:
        """Cancel an ingest that runs in the background; what it committed stays.

        Raises `NotFound` (`ingest_not_found`).
        """
        if id not in {each.id for each in await self._store(list_ingests, record.id)}:
            raise NotFound(
                f"The index '{record.spec.name}' has no ingest '{id[:80]}'.",
                code="ingest_not_found",
                details={"field": "ingest"},
            )
        await cancel_and_wait([self._tasks.get(id)])
        # One that an earlier process left, and that nobody resumed, has no task to record it.
        await self._store(end_ingest, id, "cancelled")

    async def cancel_all(self, record: IndexRecord) -> None:
        """Cancel what runs in the background for an index that is being deleted."""
        ids = [each.id for each in await self._store(list_ingests, record.id)]
        await cancel_and_wait([self._tasks.get(id) for id in ids])

    def pause(self) -> None:
        """Leave an ingest that is cancelled from now on unfinished, for the next start."""
        self._closing = True

    async def close(self) -> None:
        """Cancel what runs in the background; it stays unfinished, for the next start."""
        self.pause()
        await cancel_and_wait([*self._tasks.values()])
        # These are short; cancelling them would not stop the store from finishing them.
        if self._progress_writes:
            await asyncio.wait(self._progress_writes)

    async def _run_in_background(self, index_id: str, id: str, name: str, work: Work) -> None:
        try:
            await self._run_recorded(index_id, id, work, ignore_progress)
        except MotetError as error:
            # The message, which may quote a document, is in the ingest's record.
            log.warning("%s failed: %s", name, error.code)
        except Exception:
            log.exception("%s failed", name)

    async def _run_recorded(
        self, index_id: str, id: str, work: Work, on_progress: OnProgress
    ) -> IngestReport:
        recorder = _ProgressRecorder(self._write_progress, id, on_progress)
        self._running[index_id] += 1
        try:
            report = await work(recorder)
        except asyncio.CancelledError:
            # Cancelled by `close`, it stays `running`: the next start resumes it.
            if not self._closing:
                await self._end(id, recorder.latest, "cancelled")
            raise
        except Exception as error:
            await self._end(id, recorder.latest, "failed", publish_text(str(error)).text)
            raise
        finally:
            self._running[index_id] -= 1
            if not self._running[index_id]:
                del self._running[index_id]
        await self._end(id, recorder.latest, "finished")
        return report

    async def _end(
        self, id: str, latest: IngestProgress, status: IngestStatus, error: str | None = None
    ) -> None:
        await self._store(record_progress, id, latest.files_done, latest.files_total)
        await self._store(end_ingest, id, status, error)

    def _write_progress(self, id: str, progress: IngestProgress) -> bool:
        """Store progress in the background; False while an earlier write is under way."""
        if self._progress_writes:
            return False
        work = self._store(record_progress, id, progress.files_done, progress.files_total)
        task = asyncio.create_task(work, name="indexes ingest progress")
        self._progress_writes.add(task)
        task.add_done_callback(self._log_failed_write)
        return True

    def _log_failed_write(self, task: asyncio.Task[None]) -> None:
        self._progress_writes.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("the progress of an ingest cannot be written down: %s", error)


class _ProgressRecorder:
    """Passes an ingest's progress on, and stores it now and then."""

    def __init__(
        self, write: Callable[[str, IngestProgress], bool], id: str, on_progress: OnProgress
    ) -> None:
        self._write = write
        self._id = id
        self._on_progress = on_progress
        self._written_at_s = time.monotonic()
        self.latest = IngestProgress(0, 0, 0, 0)

    def __call__(self, progress: IngestProgress) -> None:
        self.latest = progress
        due = time.monotonic() - self._written_at_s >= PROGRESS_INTERVAL_S
        if due and self._write(self._id, progress):
            self._written_at_s = time.monotonic()
        self._on_progress(progress)
