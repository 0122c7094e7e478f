"""A worker that comes back: started again when it died, its repeatable calls tried once more.

Owns one worker at a time. Invariant: however many calls find it dead, one restart serves them all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from config.errors import MotetError, TimedOut, Unavailable
from models.workers.process import Reply, WorkerProcess
from models.workers.restart import start_again_if_killed

log = logging.getLogger(__name__)


class SupervisedWorker:
    """One worker at a time, from `start`. `stop` it when done.

    `lost` completes with the reason when it died and could not be started again.
    """

    def __init__(self, worker: WorkerProcess, start: Callable[[], Awaitable[WorkerProcess]]):
        self._start = start
        self._worker = worker
        self._starting: asyncio.Task[None] | None = None
        self._stopped = False
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, start: Callable[[], Awaitable[WorkerProcess]]) -> SupervisedWorker:
        """Start the first one; raises what `start` raises."""
        return cls(await start(), start)

    @property
    def worker(self) -> WorkerProcess:
        """The present one, which may have just died."""
        return self._worker

    async def call(
        self,
        method: str,
        header: Mapping[str, Any] | None = None,
        body: bytes = b"",
        *,
        urgent: bool = False,
        timeout_s: float,
        repeatable: bool,
    ) -> Reply:
        """Call as `WorkerProcess.call` does; a `repeatable` call is made again if its worker dies.

        A worker that lets `timeout_s` pass is ended: it may hang for ever.
        """
        worker = await self._ensure_running()
        try:
            return await self._call_once(worker, method, header, body, urgent, timeout_s)
        except Unavailable as error:
            if error.code != "worker_died" or not repeatable:
                raise
        worker = await self._ensure_running()
        return await self._call_once(worker, method, header, body, urgent, timeout_s)

    async def stop(self, grace_s: float = 2.0) -> None:
        self._stopped = True
        if self._starting:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._worker.stop(grace_s)
        if not self.lost.done():
            self.lost.cancel()

    async def _call_once(
        self,
        worker: WorkerProcess,
        method: str,
        header: Mapping[str, Any] | None,
        body: bytes,
        urgent: bool,
        timeout_s: float,
    ) -> Reply:
        try:
            return await worker.call(method, header, body, urgent=urgent, timeout_s=timeout_s)
        except TimedOut:
            worker.kill()
            raise

    async def _ensure_running(self) -> WorkerProcess:
        if self._stopped:
            raise Unavailable(f"'{self._worker.name}' was stopped.", code="worker_stopped")
        if self._worker.exited.done():
            if self._starting is None or self._starting.done():
                name = f"worker {self._worker.name}: restart"
                self._starting = asyncio.create_task(self._restart(), name=name)
            # Shielded: the start belongs to everyone who waits, not to the first of them.
            await asyncio.shield(self._starting)
        return self._worker

    async def _restart(self) -> None:
        log.warning("worker %s is started again", self._worker.name)
        try:
            await self._worker.stop(grace_s=0)
            self._worker = await start_again_if_killed(self._start)
        except MotetError as error:
            if not self.lost.done():
                self.lost.set_result(error.message)
            raise
