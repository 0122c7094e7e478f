"""Keeps the derived indexes up to date with storage, whatever becomes of their worker.

Owns the worker, and for each index its replica: which changes the worker has seen and which are
saved. Catching up reads from storage what comes after the replica's change; so a start, a crash
and an ingest are all the same here. Leaves the requests to `worker_client`, restarts to
`WorkerSupervisor`, saves to `ReplicaSaver`, replicas built anew to `ReplicaBuilder`.

Invariants:
- Storage is committed first, the replica follows, the save comes last. Each is behind the one
  before or equal to it, never ahead: whatever is lost later is replayed from what came before.
- Everything that changes a replica's worker, change or save holds its lock. Searches do not: they
  are answered by the replica as it is. While it is restored, because its worker or its saved folder
  was lost, they wait for `RESTORE_WAIT_S`; their answers then tell how much of it they have seen.
- Words of removed documents are out of the saved folder before the removal is replayed. The rest of
  it stays until the next save stands, so that a killed service opens it instead of building anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from config.errors import MotetError, Unavailable
from indexes.derived import worker_client
from indexes.derived.replica_builder import ReplicaBuilder
from indexes.derived.replica_saver import ReplicaSaver
from indexes.derived.replica_state import ReplicaState
from indexes.derived.saved_indexes import SavedIndexes
from indexes.derived.supervisor import StartWorker, WorkerSupervisor
from indexes.derived.worker_client import Hits
from indexes.records import IndexRecord
from indexes.storage import index_rows, spaces
from indexes.storage.changes import (
    get_last_change,
    list_indexes_without_removals,
    read_changes,
)
from indexes.storage.store import Store
from indexes.tasks import cancel_and_wait, spawn_logged
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)
T = TypeVar("T")

RESTORE_WAIT_S = 10.0
"""So long a search waits for a replica that is being restored, before it is answered in part."""
EMBEDDING_CHANGED = "embedding_changed"
"""The index has another model by now than the caller believes: look again."""
WORKER_LOST = ("worker_died", "worker_stopped", "index_stale")
"""Another worker, or the index opened anew in this one, can answer."""


class IndexSynchronizer:
    """The one owner of the index worker. It is started when it is needed; `close` stops it."""

    def __init__(self, store: Store, folder: Path, start: StartWorker) -> None:
        self._store = store
        self._saved_indexes = SavedIndexes(store, folder)
        self._supervisor = WorkerSupervisor(start)
        self._saver = ReplicaSaver(store, self._saved_indexes, self._supervisor)
        self._builder = ReplicaBuilder(store, self._saver, self._supervisor)
        self._replicas: dict[str, ReplicaState] = {}
        self._rebuilds: dict[str, asyncio.Task[None]] = {}
        self._follows: set[asyncio.Task[None]] = set()
        self._restores: dict[str, asyncio.Task[None]] = {}

    @property
    def worker(self) -> WorkerProcess | None:
        """The running worker, for its pid and memory."""
        return self._supervisor.worker

    async def search(self, record: IndexRecord, header: dict[str, Any], body: bytes) -> Hits:
        """Search the replica; survives one death of the worker.

        Waits for a replica that is being restored, but not for ever: the hits tell of it then.
        Raises `Unavailable` when the worker dies again, or (`embedding_changed`) when the index has
        another model than `record` says; `TimedOut` when the worker does not answer.
        """

        async def ask() -> Hits:
            worker = await self._ready(record)
            # Between reading the record and here the index may have been swapped: a vector of the
            # former model means nothing in the space of the new one.
            if self._replica(record).fingerprint != record.fingerprint:
                raise Unavailable(
                    f"The index '{record.spec.name}' has gone over to another model.",
                    code=EMBEDDING_CHANGED,
                )
            share = self._replica(record).searchable_share
            hits = await worker_client.search(worker, record, header, body)
            return replace(hits, searchable_share=share)

        return await self._retry_once(record, ask)

    async def follow(self, record: IndexRecord) -> None:
        """Bring the replica up to storage: what was committed before is searchable afterwards."""

        async def catch_up() -> None:
            replica = self._replica(record)
            async with replica.lock:
                worker = await self._open(record, replica)
                await self._catch_up(record, replica, worker)

        await self._retry_once(record, catch_up)

    async def sweep(self) -> None:
        """Remove from the disk what a killed process left of deleted indexes and documents.

        Starts the worker if words of documents are to be removed.
        """
        records = await self._store(index_rows.list_indexes)
        await self._saved_indexes.sweep({record.id for record in records})
        clean = await self._store(list_indexes_without_removals)
        for record in records:
            if record.id not in clean and await self._saved_indexes.exists(record.id):
                await self.redact_removed(record)
                self.follow_later(record)

    def follow_later(self, record: IndexRecord) -> None:
        """Start `follow` in the background."""
        task = spawn_logged(self.follow(record), f"indexes follow {record.spec.name}")
        self._follows.add(task)
        task.add_done_callback(self._follows.discard)

    async def redact_removed(self, record: IndexRecord) -> None:
        """Take the words of what was just removed from storage off the disk."""
        replica = self._replica(record)
        async with replica.lock:
            await self._saver.redact(record, replica)
        await self._store.purge()

    async def forget(self, record: IndexRecord) -> None:
        """Take an index that was deleted from storage out of the worker and off the disk."""
        # A rebuild or a save that ends later would write the folder again.
        await cancel_and_wait([self._rebuilds.pop(record.id, None)])
        await self._saver.cancel(record)
        await cancel_and_wait([self._restores.pop(record.id, None)])
        replica = self._replicas.pop(record.id, None) or ReplicaState()
        async with replica.lock:
            # Also where it is not open: a rebuild that was cancelled leaves what it had built.
            if worker := self.worker:
                with suppress(MotetError):
                    await worker_client.drop(worker, record)
            await self._saved_indexes.remove(record.id)
        await self._store.purge()

    def rebuild(self, record: IndexRecord) -> asyncio.Task[None]:
        """Start building the replica from nothing while the present one serves; return the task.

        While a rebuild of the index runs, its task is returned.
        """
        running = self._rebuilds.get(record.id)
        if running and not running.done():
            return running
        work = self._retry_once(record, lambda: self._rebuild(record))
        task = spawn_logged(work, f"indexes rebuild {record.spec.name}")
        self._rebuilds[record.id] = task
        return task

    async def switch_model(
        self, record: IndexRecord, fingerprint: str, dimensions: int, model: str
    ) -> bool:
        """Build a replica from the vectors of `record.next_space`, then serve it.

        The present replica and its model serve meanwhile. False, and nothing changes, if a passage
        has no vector of the next model yet.
        """
        switched = replace(record, space=record.next_space, fingerprint=fingerprint)

        async def build_and_swap() -> bool:
            replica = self._replica(record)
            build = await self._builder.begin(switched)
            async with replica.lock:
                build = await self._builder.catch_up(switched, build)
                use = spaces.use_space
                if not await self._store(use, record.id, fingerprint, dimensions, model):
                    return False
                # A crash between the two leaves storage ahead: the next open finds a saved folder
                # of another fingerprint and builds anew.
                await self._builder.swap(switched, replica, build)
            return True

        return await self._retry_once(record, build_and_swap)

    async def close(self) -> None:
        """Save what is worth saving, stop the worker. Background work is cancelled."""
        self._supervisor.close()
        work = [*self._rebuilds.values(), *self._follows, *self._restores.values()]
        await cancel_and_wait(work)
        await self._saver.close()
        if worker := self.worker:
            for record in await self._store(index_rows.list_indexes):
                replica = self._replica(record)
                if replica.worker is worker and replica.unsaved:
                    with suppress(MotetError):
                        await self._saver.save(record, replica, worker)
        await self._supervisor.stop()

    def _replica(self, record: IndexRecord) -> ReplicaState:
        return self._replicas.setdefault(record.id, ReplicaState())

    async def _retry_once(
        self, record: IndexRecord, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Do the work, again if the worker died under it: all it knew is in storage.

        Once, so that a request that kills every worker ends with its error.
        """
        try:
            return await work()
        except Unavailable as error:
            if error.code not in WORKER_LOST:
                raise
            log.warning("index '%s': %s, trying again", record.spec.name, error.code)
            if error.code == "index_stale":
                # The worker lives, but not as this side believes: open the index in it anew.
                self._replica(record).worker = None
        return await work()

    async def _ready(self, record: IndexRecord) -> WorkerProcess:
        """Return a worker in which the index is open, and restored if that takes no longer than
        `RESTORE_WAIT_S`; never waits for an ingest to end."""
        replica = self._replica(record)
        if not self._is_open(record, replica) or not replica.restored.is_set():
            await self._restore(record, replica)
        # `index_stale` in another task may have reset it since.
        if worker := replica.worker:
            return worker
        raise Unavailable("The index worker died.", code="worker_died")

    async def _restore(self, record: IndexRecord, replica: ReplicaState) -> None:
        """Open the index and bring it up to storage, in a task that outlives who waits for it."""
        if replica.worker is None or replica.worker is not self.worker:
            replica.restored.clear()  # what it said was about a worker that is gone
        task = self._restores.get(record.id)
        if task is None or task.done():
            task = spawn_logged(self.follow(record), f"indexes restore {record.spec.name}")
            self._restores[record.id] = task
        # `restored` comes before the task ends where an ingest goes on adding.
        restored = asyncio.create_task(replica.restored.wait(), name="indexes: restored")
        try:
            while not task.done():
                done, _ = await asyncio.wait(
                    {task, restored}, timeout=RESTORE_WAIT_S, return_when=asyncio.FIRST_COMPLETED
                )
                # Only an open index can answer, be it in part.
                if (restored in done or not done) and self._is_open(record, replica):
                    return
                if restored in done:
                    await asyncio.wait({task})
        finally:
            restored.cancel()
        if task.cancelled():
            raise index_rows.index_deleted()
        task.result()

    def _is_open(self, record: IndexRecord, replica: ReplicaState) -> bool:
        same_model = replica.fingerprint == record.fingerprint
        return replica.worker is not None and replica.worker is self.worker and same_model

    async def _open(self, record: IndexRecord, replica: ReplicaState) -> WorkerProcess:
        """Open the index in the running worker, unless it is open there."""
        worker = await self._supervisor.running()
        # It may have gone over to another model since the caller looked.
        record = await self._store(index_rows.get_index, record.id)
        if self._is_open(record, replica):
            return worker
        change = await worker_client.open_index(worker, record)
        last_change = await self._store(get_last_change, record.id)
        born = 0 if change else last_change
        replica.opened(worker, record.fingerprint, change, born, last_change)
        return worker

    async def _catch_up(
        self, record: IndexRecord, replica: ReplicaState, worker: WorkerProcess
    ) -> None:
        redacted = False
        while changes := await self._store(
            read_changes, record.id, replica.change, replica.born, worker_client.BATCH
        ):
            if changes.removed and not redacted:
                # The saved folder holds words of what was removed: off the disk with them, before
                # anything else can fail.
                await self._saver.redact(record, replica)
                await self._store.purge()
                redacted = True
            await worker_client.apply(worker, record, replica.change, changes)
            replica.advance(changes.upto)
            # A batch with removals is often followed by another, whose words would be redacted.
            if replica.overdue and not changes.removed:
                await self._saver.try_save(record, replica, worker)
        replica.note_restored()
        if replica.unsaved:
            self._saver.save_later(record, replica)

    async def _rebuild(self, record: IndexRecord) -> None:
        replica = self._replica(record)
        build = await self._builder.begin(record)
        async with replica.lock:
            build = await self._builder.catch_up(record, build)
            await self._builder.swap(record, replica, build)
