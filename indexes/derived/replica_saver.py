"""When replicas are saved, and when what was saved is removed.

Owns the saves that wait for a quiet moment. The worker writes the files; `SavedIndexes` removes
them. Whoever calls holds the replica's lock, but for `save_later`, `cancel` and `close`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from config.errors import MotetError, Unavailable
from indexes.derived import worker_client
from indexes.derived.replica_state import ReplicaState
from indexes.derived.saved_indexes import SavedIndexes
from indexes.derived.supervisor import WorkerSupervisor
from indexes.records import SAVE_FAILED, STORE_FAILED, IndexRecord
from indexes.storage import changes
from indexes.storage.store import Store
from indexes.tasks import cancel_and_wait, spawn_logged
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)


class ReplicaSaver:
    """Saves replicas and keeps storage informed of what is saved."""

    def __init__(
        self, store: Store, saved_indexes: SavedIndexes, supervisor: WorkerSupervisor
    ) -> None:
        self._store = store
        self._saved_indexes = saved_indexes
        self._supervisor = supervisor
        self._saves: dict[str, asyncio.Task[None]] = {}

    def save_later(self, record: IndexRecord, replica: ReplicaState) -> None:
        """Start a save that waits for a quiet moment, unless one is waiting."""
        running = self._saves.get(record.id)
        if running is None or running.done():
            self._saves[record.id] = spawn_logged(
                self._save_when_quiet(record, replica), f"indexes save {record.spec.name}"
            )

    async def try_save(
        self, record: IndexRecord, replica: ReplicaState, worker: WorkerProcess
    ) -> None:
        """Save; a full disk only makes the next start slower, so it is logged and no more."""
        try:
            await self.save(record, replica, worker)
        except Unavailable as error:
            if error.code not in (SAVE_FAILED, STORE_FAILED):
                raise
            log.warning("index '%s': %s", record.spec.name, error.message)

    async def save(self, record: IndexRecord, replica: ReplicaState, worker: WorkerProcess) -> None:
        """Write the replica to its folder. Raises `Unavailable` (`index_save_failed`)."""
        began_s = time.monotonic()
        await worker_client.save(worker, record)
        replica.note_save(time.monotonic() - began_s)
        await self.note_saved(record, replica)

    async def note_saved(self, record: IndexRecord, replica: ReplicaState) -> None:
        """Let storage forget the removals that the saved folder has seen.

        After the save, never before: a replica opened from an older folder still needs them.
        """
        replica.saved, replica.erased = replica.change, False
        await self._store(changes.mark_saved, record.id, replica.saved)

    async def redact(self, record: IndexRecord, replica: ReplicaState) -> None:
        """Take the words of removed documents out of what is saved, which stays otherwise.

        Once for each removal. Where that fails, nothing of the index stays saved: a word that was
        deleted goes first.
        """
        upto, removed = await self._store(changes.list_removed, record.id)
        if upto <= replica.redacted or not await self._saved_indexes.exists(record.id):
            return
        try:
            await self._redact_saved(record, removed)
        except MotetError as error:
            log.warning("index '%s' is saved anew: %s", record.spec.name, error.message)
            await self.erase(record, replica)
        else:
            replica.redacted = upto

    async def _redact_saved(self, record: IndexRecord, removed: Sequence[int]) -> None:
        """Redact, once more in another worker where the first dies: it leaves words, no damage."""
        try:
            await worker_client.redact(await self._supervisor.running(), record, removed)
        except Unavailable as error:
            if error.code != "worker_died":
                raise
            await worker_client.redact(await self._supervisor.running(), record, removed)

    async def erase(self, record: IndexRecord, replica: ReplicaState) -> None:
        """Take what was saved off the disk."""
        await self._saved_indexes.remove(record.id)
        replica.erase()

    async def cancel(self, record: IndexRecord) -> None:
        """Cancel the save of an index that is being deleted."""
        await cancel_and_wait([self._saves.pop(record.id, None)])

    async def close(self) -> None:
        """Cancel the saves that wait."""
        await cancel_and_wait([*self._saves.values()])

    async def _save_when_quiet(self, record: IndexRecord, replica: ReplicaState) -> None:
        await replica.wait_quiet()
        async with replica.lock:
            worker = replica.worker
            # The worker may have died while this waited; its successor replays and saves anew.
            if worker and worker is self._supervisor.worker and replica.unsaved:
                await self.try_save(record, replica, worker)
