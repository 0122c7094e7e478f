"""A worker whenever one is needed, but not for ever when each of them dies."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from config.errors import Unavailable
from models.workers.process import WorkerProcess

StartWorker = Callable[[], Awaitable[WorkerProcess]]

DEATHS, WITHIN_S = 10, 60.0


class WorkerSupervisor:
    """One worker at a time, from `start`; another when it has died."""

    def __init__(self, start: StartWorker) -> None:
        self._start = start
        self._starting = asyncio.Lock()
        self._worker: WorkerProcess | None = None
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self._closed = False

    @property
    def worker(self) -> WorkerProcess | None:
        """The one that runs now."""
        return self._worker if self._worker and not self._worker.exited.done() else None

    async def running(self) -> WorkerProcess:
        """The worker, started if there is none. Raises what `start` raises, and `Unavailable`
        when too many died lately (`index_worker_crash_loop`) or after `close`."""
        async with self._starting:
            if self._closed:
                raise Unavailable("The indexes are being closed.", code="shutting_down")
            if running := self.worker:
                return running
            if self._worker:
                self._note_death(self._worker)
            self._worker = await self._start()
            return self._worker

    def close(self) -> None:
        """Start no more."""
        self._closed = True

    async def stop(self) -> None:
        """End the worker, also one that is only starting."""
        async with self._starting:
            if self._worker:
                await self._worker.stop()

    def _note_death(self, worker: WorkerProcess) -> None:
        now = time.monotonic()
        if len(self._deaths) == DEATHS and now - self._deaths[0] < WITHIN_S:
            raise Unavailable(
                f"The index worker died {DEATHS} times within a minute; see the log.",
                code="index_worker_crash_loop",
                retry_after_s=WITHIN_S,
                details={"stderr": worker.stderr},
            )
        self._deaths.append(now)
