"""Keeps the derived indexes in step with the truth, whatever becomes of their worker.

Each index has a position: the last change that the worker has seen. Catching up reads what came
after it from the store; so a start, a crash and an ingest are all the same to this module.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from config.errors import MotetError, TimedOut, Unavailable
from indexes.derived.replica_state import QUIET_S, QUIET_SHARE, Hits, ReplicaState
from indexes.derived.saved import Saved
from indexes.derived.supervisor import StartWorker, WorkerSupervisor
from indexes.records import SAVE_FAILED, STORE_FAILED, Changes, Index
from indexes.storage.store import Store
from indexes.storage.tables import Tables
from indexes.tasks import cancel_and_wait, spawn_logged
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 256
"""Passages applied at once: searches wait for one batch at most."""
SEARCH_TIMEOUT_S = 30.0
APPLY_TIMEOUT_S = 300.0
MOVED = "embedding_changed"
"""The index has another model by now than the caller believes: look again."""
LOST = ("worker_died", "worker_stopped", "index_stale")


class IndexSynchronizer:
    """The one owner of the txtai worker. `start` makes one when it is needed; `close` ends it."""

    def __init__(self, store: Store, folder: Path, start: StartWorker) -> None:
        self._store = store
        self._saved_folders = Saved(store, folder)
        self._supply = WorkerSupervisor(start)
        self._mirrors: dict[str, ReplicaState] = {}
        self._rebuilds: dict[str, asyncio.Task[None]] = {}
        self._saves: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def worker(self) -> WorkerProcess | None:
        """The running worker, for its pid and memory."""
        return self._supply.worker

    async def search(self, index: Index, header: dict[str, Any], body: bytes) -> Hits:
        """Passage numbers and their scores, best first. Survives one death of the worker.

        Raises `Unavailable` when it dies again, `TimedOut` when it does not answer.
        """

        asked = {**header, "fingerprint": index.fingerprint}

        async def ask() -> Hits:
            worker = await self._ready(index)
            if self._mirror(index).fingerprint != index.fingerprint:
                raise Unavailable(
                    f"The index '{index.spec.name}' has gone over to another model.", code=MOVED
                )
            reply = await self._call(
                worker, "search", index, asked, body, urgent=True, timeout_s=SEARCH_TIMEOUT_S
            )
            hits = [(number, score) for number, score in reply["hits"]]
            return Hits(hits, reply["meaning"], reply.get("why"))

        return await self._twice(index, ask)

    async def follow(self, index: Index) -> None:
        """Bring the derived index up to the truth; what was committed before is then found."""

        async def catch_up() -> None:
            mirror = self._mirror(index)
            async with mirror.lock:
                worker = await self._open(index, mirror)
                await self._catch_up(index, mirror, worker)

        await self._twice(index, catch_up)

    async def sweep(self) -> None:
        """Take off the disk what a process that was killed left of deleted things."""
        await self._saved_folders.sweep()

    def follow_later(self, index: Index) -> None:
        """`follow`, in the background."""
        task = spawn_logged(self.follow(index), f"indexes follow {index.spec.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def removed(self, index: Index) -> None:
        """Something was removed from the truth: take its words off the disk."""
        mirror = self._mirror(index)
        async with mirror.lock:
            await self._erase(index, mirror)
        await self._store.purge()

    async def forget(self, index: Index) -> None:
        """Take an index that was deleted out of the worker and off the disk."""
        await cancel_and_wait([self._rebuilds.pop(index.id, None), self._saves.pop(index.id, None)])
        mirror = self._mirrors.pop(index.id, None) or ReplicaState()
        async with mirror.lock:
            if mirror.worker and mirror.worker is self.worker:
                with suppress(MotetError):
                    await self._call(mirror.worker, "drop", index, {}, timeout_s=SEARCH_TIMEOUT_S)
            await self._saved_folders.remove(index.id)
        await self._store.purge()

    def rebuild(self, index: Index) -> asyncio.Task[None]:
        """Build the derived index from nothing while the present one serves; the task that does."""
        running = self._rebuilds.get(index.id)
        if running and not running.done():
            return running
        work = self._twice(index, lambda: self._rebuild(index))
        task = spawn_logged(work, f"indexes rebuild {index.spec.name}")
        self._rebuilds[index.id] = task
        return task

    async def move(self, index: Index, fingerprint: str, dimensions: int, model: str) -> bool:
        """Build the derived index out of the vectors of `index.next_space` while the present one
        serves, then let them take its place; False when not all passages have one."""
        moved = replace(index, space=index.next_space, fingerprint=fingerprint)

        async def swapped() -> bool:
            mirror = self._mirror(index)
            worker, change, born = await self._begin_build(moved)
            async with mirror.lock:
                await self._fill(worker, moved, change, born)
                use = Tables.use_space
                if not await self._store(use, index.id, fingerprint, dimensions, model):
                    return False
                await self._swap(moved, mirror, worker, born)
            return True

        return await self._twice(index, swapped)

    async def close(self) -> None:
        """Save what is worth saving, end the worker."""
        self._supply.close()
        await cancel_and_wait([*self._rebuilds.values(), *self._saves.values(), *self._tasks])
        if worker := self.worker:
            for index in await self._store(Tables.all_indexes):
                mirror = self._mirror(index)
                if mirror.worker is worker and mirror.unsaved:
                    with suppress(MotetError):
                        await self._save(index, mirror, worker)
        await self._supply.stop()

    def _mirror(self, index: Index) -> ReplicaState:
        return self._mirrors.setdefault(index.id, ReplicaState())

    async def _twice(self, index: Index, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The work, again when the worker died meanwhile: what it knew is in the store."""
        try:
            return await work()
        except Unavailable as error:
            if error.code not in LOST:
                raise
            log.warning("index '%s': %s Trying again.", index.spec.name, error.message)
            if error.code == "index_stale":
                self._mirror(index).worker = None
        return await work()

    async def _ready(self, index: Index) -> WorkerProcess:
        """A worker in which the index is open. During an ingest it serves as it is."""
        mirror = self._mirror(index)
        if not self._is_open(index, mirror):
            await self.follow(index)
        if worker := mirror.worker:
            return worker
        raise Unavailable("The index worker died.", code="worker_died")

    def _is_open(self, index: Index, mirror: ReplicaState) -> bool:
        same_model = mirror.fingerprint == index.fingerprint
        return mirror.worker is not None and mirror.worker is self.worker and same_model

    async def _open(self, index: Index, mirror: ReplicaState) -> WorkerProcess:
        worker = await self._supply.running()
        # It may have gone over to another model since the caller looked.
        index = await self._store(Tables.present, index.id)
        if self._is_open(index, mirror):
            return worker
        header = {"fingerprint": index.fingerprint, "oldest": index.saved_change}
        reply = await self._call(worker, "open", index, header, timeout_s=APPLY_TIMEOUT_S)
        mirror.change = mirror.saved = reply["change"]
        mirror.born = 0 if mirror.change else await self._store(Tables.last_change, index.id)
        mirror.worker, mirror.fingerprint = worker, index.fingerprint
        mirror.erased = mirror.change == 0
        return worker

    async def _catch_up(self, index: Index, mirror: ReplicaState, worker: WorkerProcess) -> None:
        while changes := await self._next(index, mirror.change, mirror.born):
            if changes.removed and not mirror.erased:
                # The saved folder holds words of what is gone: off the disk with it, at once.
                await self._erase(index, mirror)
                await self._store.purge()
            await self._apply(worker, index, mirror.change, changes)
            mirror.touch(changes.upto)
            if mirror.overdue and not changes.removed:
                await self._try_save(index, mirror, worker)
        if mirror.unsaved:
            self._save_later(index, mirror)

    def _save_later(self, index: Index, mirror: ReplicaState) -> None:
        running = self._saves.get(index.id)
        if running is None or running.done():
            self._saves[index.id] = spawn_logged(
                self._save_when_quiet(index, mirror), f"indexes save {index.spec.name}"
            )

    async def _save_when_quiet(self, index: Index, mirror: ReplicaState) -> None:
        await mirror.quiet()
        async with mirror.lock:
            worker = mirror.worker
            if worker and worker is self.worker and mirror.unsaved:
                await self._try_save(index, mirror, worker)

    async def _try_save(self, index: Index, mirror: ReplicaState, worker: WorkerProcess) -> None:
        """What is not saved is only slower at the next start: the disk being full stops nobody."""
        try:
            await self._save(index, mirror, worker)
        except Unavailable as error:
            if error.code not in (SAVE_FAILED, STORE_FAILED):
                raise
            log.warning("index '%s': %s", index.spec.name, error.message)

    async def _save(self, index: Index, mirror: ReplicaState, worker: WorkerProcess) -> None:
        began_s = time.monotonic()
        await self._call(worker, "save", index, {}, timeout_s=APPLY_TIMEOUT_S)
        mirror.quiet_s = max(QUIET_S, QUIET_SHARE * (time.monotonic() - began_s))
        await self._saved(index, mirror)

    async def _next(self, index: Index, after: int, born: int) -> Changes | None:
        return await self._store(Tables.changes, index.id, after, born, BATCH)

    async def _apply(
        self,
        worker: WorkerProcess,
        index: Index,
        after: int,
        changes: Changes,
        *,
        building: bool = False,
    ) -> None:
        header = {
            "building": building,
            "after": after,
            "upto": changes.upto,
            "numbers": changes.numbers,
            "texts": changes.texts,
            "removed": changes.removed,
        }
        await self._call(worker, "apply", index, header, changes.vectors, timeout_s=APPLY_TIMEOUT_S)

    async def _saved(self, index: Index, mirror: ReplicaState) -> None:
        mirror.saved, mirror.erased = mirror.change, False
        await self._store(Tables.mark_saved, index.id, mirror.saved)

    async def _rebuild(self, index: Index) -> None:
        mirror = self._mirror(index)
        worker, change, born = await self._begin_build(index)
        async with mirror.lock:
            await self._fill(worker, index, change, born)
            await self._swap(index, mirror, worker, born)

    async def _begin_build(self, index: Index) -> tuple[WorkerProcess, int, int]:
        """An index built beside the open one: its worker, where it stands, where it was born."""
        worker = await self._supply.running()
        born = await self._store(Tables.last_change, index.id)
        header = {"fingerprint": index.fingerprint}
        await self._call(worker, "build", index, header, timeout_s=APPLY_TIMEOUT_S)
        return worker, await self._fill(worker, index, 0, born), born

    async def _swap(
        self, index: Index, mirror: ReplicaState, worker: WorkerProcess, born: int
    ) -> None:
        reply = await self._call(worker, "swap", index, {}, timeout_s=APPLY_TIMEOUT_S)
        mirror.worker, mirror.fingerprint = worker, index.fingerprint
        mirror.change, mirror.born = reply["change"], born
        await self._saved(index, mirror)

    async def _fill(self, worker: WorkerProcess, index: Index, change: int, born: int) -> int:
        """Everything after `change` into the index being built; where it then stands."""
        next_changes = Tables.changes
        args = (index.id, change, born, BATCH, index.space)
        while changes := await self._store(next_changes, *args):
            await self._apply(worker, index, change, changes, building=True)
            args = (index.id, changes.upto, born, BATCH, index.space)
            change = changes.upto
        return change

    async def _erase(self, index: Index, mirror: ReplicaState) -> None:
        """Take what was saved off the disk."""
        await self._saved_folders.remove(index.id)
        mirror.saved, mirror.erased = mirror.change, True

    async def _call(
        self,
        worker: WorkerProcess,
        method: str,
        index: Index,
        header: dict[str, Any],
        body: bytes = b"",
        *,
        urgent: bool = False,
        timeout_s: float,
    ) -> dict[str, Any]:
        try:
            reply = await worker.call(
                method, {"index": index.id, **header}, body, urgent=urgent, timeout_s=timeout_s
            )
        except TimedOut:
            # One thread does all the work there: what hangs it hangs everything.
            worker.kill()
            raise
        return reply.header
