"""Builds replicas from nothing while the present ones serve, and puts them in their place.

The worker holds the replica under construction beside the open one. It is filled without the lock
of the open one, so ingests go on meanwhile; under the lock it catches up with the little that came
since, and is swapped in.
"""

from __future__ import annotations

from typing import NamedTuple

from indexes.derived import worker_client
from indexes.derived.replica_saver import ReplicaSaver
from indexes.derived.replica_state import ReplicaState
from indexes.derived.supervisor import WorkerSupervisor
from indexes.records import IndexRecord
from indexes.storage.changes import get_last_change, read_changes
from indexes.storage.store import Store
from models.workers.process import WorkerProcess


class ReplicaBuild(NamedTuple):
    """A replica under construction in `worker`, filled up to `change`."""

    worker: WorkerProcess
    change: int
    born: int


class ReplicaBuilder:
    """Builds replicas of the spaces that records name. Raises as `worker_client` does."""

    def __init__(self, store: Store, saver: ReplicaSaver, supervisor: WorkerSupervisor) -> None:
        self._store = store
        self._saver = saver
        self._supervisor = supervisor

    async def begin(self, record: IndexRecord) -> ReplicaBuild:
        """Fill a new replica with what storage has by now."""
        worker = await self._supervisor.running()
        born = await self._store(get_last_change, record.id)
        await worker_client.build(worker, record)
        return await self.catch_up(record, ReplicaBuild(worker, 0, born))

    async def catch_up(self, record: IndexRecord, build: ReplicaBuild) -> ReplicaBuild:
        """Apply everything that came after `build.change`."""
        change = build.change
        while changes := await self._store(
            read_changes, record.id, change, build.born, worker_client.BATCH, record.space
        ):
            await worker_client.apply(build.worker, record, change, changes, building=True)
            change = changes.upto
        return build._replace(change=change)

    async def swap(self, record: IndexRecord, replica: ReplicaState, build: ReplicaBuild) -> None:
        """Save the new replica and serve it. Whoever calls holds the lock of the present one."""
        change = await worker_client.swap(build.worker, record)
        replica.opened(build.worker, record.fingerprint, change, build.born, change)
        await self._saver.note_saved(record, replica)
