"""Keeps the derived indexes in step with the truth, whatever becomes of their worker.

Each index has a position: the last change that the worker has seen. Catching up reads what came
after it from the store; so a start, a crash and an ingest are all the same to this module.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from config.errors import MotetError, NotFound, TimedOut, Unavailable
from indexes.records import Changes, Index
from indexes.store import Store
from indexes.supply import StartWorker, Supply
from indexes.tables import Tables
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 256
"""Passages applied at once: searches wait for one batch at most."""
SAVE_AFTER = 2048
SAVE_SHARE = 0.05
"""Saved after this many changes, or this share of all, whichever is more: a save writes it all."""
REBUILDS = 3
SEARCH_TIMEOUT_S = 30.0
APPLY_TIMEOUT_S = 300.0
LOST = ("worker_died", "worker_stopped", "index_out_of_step")


@dataclass(slots=True)
class _Mirror:
    """What the worker knows of one index.

    `born`: the change of the truth at which it began to be filled; what was removed before that
    it never saw. `stale`: its terms still hold removed words, so that it must not be saved.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    worker: WorkerProcess | None = None
    fingerprint: str | None = None
    change: int = 0
    born: int = 0
    saved: int = 0
    stale: bool = False


class Keeper:
    """The one owner of the txtai worker. `start` makes one when it is needed; `close` ends it."""

    def __init__(self, store: Store, folder: Path, start: StartWorker) -> None:
        self._store = store
        self._folder = folder
        self._supply = Supply(start)
        self._mirrors: dict[str, _Mirror] = {}
        self._rebuilds: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def worker(self) -> WorkerProcess | None:
        """The running worker, for its pid and memory."""
        return self._supply.worker

    async def search(
        self, index: Index, header: dict[str, Any], body: bytes
    ) -> list[tuple[int, float]]:
        """(passage number, score), best first. Survives one death of the worker.

        Raises `Unavailable` when it dies again, `TimedOut` when it does not answer.
        """

        async def ask() -> list[tuple[int, float]]:
            worker = await self._ready(index)
            reply = await self._call(
                worker, "search", index, header, body, urgent=True, timeout_s=SEARCH_TIMEOUT_S
            )
            return [(number, score) for number, score in reply["hits"]]

        return await self._twice(index, ask)

    async def follow(self, index: Index, *, settle: bool = True) -> None:
        """Bring the derived index up to the truth; what was committed before is then found.

        `settle`: it will not change again at once, so removed words are worth a rebuild.
        """

        async def catch_up() -> None:
            mirror = self._mirror(index)
            async with mirror.lock:
                worker = await self._open(index, mirror)
                await self._catch_up(index, mirror, worker)
            if settle and mirror.stale:
                self.rebuild(index)

        await self._twice(index, catch_up)

    async def sweep(self) -> None:
        """Take off the disk what a process that was killed left: folders of deleted indexes, and
        those that hold words of documents removed since they were saved."""
        good = await self._store(Tables.unremoved_indexes)

        def erase() -> None:
            for folder in self._folder.iterdir() if self._folder.is_dir() else ():
                if folder.name not in good:
                    shutil.rmtree(folder, ignore_errors=True)

        await self._store.blocking(erase)

    def follow_later(self, index: Index) -> None:
        """`follow`, in the background."""
        task = asyncio.create_task(self.follow(index), name=f"indexes follow {index.spec.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_failure)

    async def removed(self, index: Index) -> None:
        """Something was removed from the truth: take its words off the disk."""
        mirror = self._mirror(index)
        async with mirror.lock:
            mirror.stale = True
            await self._erase(index)
        await self._store(Tables.purge)

    async def forget(self, index: Index) -> None:
        """Take an index that was deleted out of the worker and off the disk."""
        if task := self._rebuilds.pop(index.id, None):
            task.cancel()
            await asyncio.wait([task])
        mirror = self._mirrors.pop(index.id, None)
        if mirror and mirror.worker is self.worker and mirror.worker:
            with suppress(MotetError):
                await self._call(mirror.worker, "drop", index, {}, timeout_s=SEARCH_TIMEOUT_S)
        await self._erase(index)

    def rebuild(self, index: Index) -> asyncio.Task[None]:
        """Build the derived index from nothing while the present one serves; the task that does.

        Several wishes at once become one more rebuild after the present one.
        """
        running = self._rebuilds.get(index.id)
        if running and not running.done():
            self._again.add(index.id)
            return running
        task = asyncio.create_task(self._rebuild(index), name=f"indexes rebuild {index.spec.name}")
        task.add_done_callback(_log_failure)
        self._rebuilds[index.id] = task
        return task

    async def close(self) -> None:
        """Save what is worth saving, end the worker."""
        self._supply.close()
        tasks = [*self._rebuilds.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if worker := self.worker:
            for id, mirror in self._mirrors.items():
                if mirror.worker is worker and not mirror.stale and mirror.change > mirror.saved:
                    with suppress(MotetError):
                        await worker.call("save", {"index": id}, timeout_s=APPLY_TIMEOUT_S)
        await self._supply.stop()

    def _mirror(self, index: Index) -> _Mirror:
        return self._mirrors.setdefault(index.id, _Mirror())

    async def _twice(self, index: Index, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The work, again when the worker died meanwhile: what it knew is in the store."""
        try:
            return await work()
        except Unavailable as error:
            if error.code not in LOST:
                raise
            log.warning("index '%s': %s Trying again.", index.spec.name, error.message)
            if error.code == "index_out_of_step":
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

    def _is_open(self, index: Index, mirror: _Mirror) -> bool:
        same_model = mirror.fingerprint == index.fingerprint
        return mirror.worker is not None and mirror.worker is self.worker and same_model

    async def _open(self, index: Index, mirror: _Mirror) -> WorkerProcess:
        worker = await self._supply.running()
        if self._is_open(index, mirror):
            return worker
        header = {"fingerprint": index.fingerprint, "oldest": index.saved_change}
        reply = await self._call(worker, "open", index, header, timeout_s=APPLY_TIMEOUT_S)
        mirror.change = mirror.saved = reply["change"]
        mirror.born = 0 if mirror.change else await self._store(Tables.last_change, index.id)
        mirror.worker, mirror.fingerprint, mirror.stale = worker, index.fingerprint, False
        return worker

    async def _catch_up(self, index: Index, mirror: _Mirror, worker: WorkerProcess) -> None:
        while changes := await self._next(index, mirror.change, mirror.born):
            if changes.removed and not mirror.stale:
                # The saved folder holds words of what is gone: off the disk with it, at once.
                mirror.stale = True
                await self._erase(index)
                await self._store(Tables.purge)
            await self._apply(worker, index, mirror.change, changes)
            mirror.change = changes.upto
        unsaved = mirror.change - mirror.saved
        if not mirror.stale and unsaved > max(SAVE_AFTER, SAVE_SHARE * mirror.change):
            await self._call(worker, "save", index, {}, timeout_s=APPLY_TIMEOUT_S)
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

    async def _saved(self, index: Index, mirror: _Mirror) -> None:
        mirror.saved = mirror.change
        await self._store(Tables.mark_saved, index.id, mirror.saved)

    async def _rebuild(self, index: Index) -> None:
        for _ in range(REBUILDS):
            self._again.discard(index.id)
            if await self._rebuilt(index) and index.id not in self._again:
                return
        log.info("index '%s' changes too fast to be rebuilt now", index.spec.name)

    async def _rebuilt(self, index: Index) -> bool:
        """One attempt; False when something was removed while it was filled: it would be in it."""
        mirror = self._mirror(index)
        worker = await self._supply.running()
        born = await self._store(Tables.last_change, index.id)
        header = {"fingerprint": index.fingerprint}
        await self._call(worker, "build", index, header, timeout_s=APPLY_TIMEOUT_S)
        change, clean = await self._fill(worker, index, 0, born)
        async with mirror.lock:
            if clean:
                change, clean = await self._fill(worker, index, change, born)
            if clean:
                await self._call(worker, "swap", index, {}, timeout_s=APPLY_TIMEOUT_S)
                mirror.worker, mirror.fingerprint = worker, index.fingerprint
                mirror.change, mirror.born, mirror.stale = change, born, False
                await self._saved(index, mirror)
        return clean

    async def _fill(
        self, worker: WorkerProcess, index: Index, change: int, born: int
    ) -> tuple[int, bool]:
        """Everything after `change` into the index being built; where it then stands, and whether
        nothing was removed from it."""
        while changes := await self._next(index, change, born):
            if changes.removed:
                return change, False
            await self._apply(worker, index, change, changes, building=True)
            change = changes.upto
        return change, True

    async def _erase(self, index: Index) -> None:
        root = self._folder / index.id
        await self._store.blocking(lambda: shutil.rmtree(root, ignore_errors=True))

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


def _log_failure(task: asyncio.Task[None]) -> None:
    # The index may have been deleted meanwhile.
    if not task.cancelled() and not isinstance(error := task.exception(), NotFound | None):
        log.error("%s failed: %s", task.get_name(), error, exc_info=error)
