"""Restarts the index worker when it is needed, but not for ever when each one dies.

Owns the running worker. A death is noticed at the next request; nothing restarts by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from config.errors import Unavailable
from models.workers.process import WorkerProcess

StartWorker = Callable[[], Awaitable[WorkerProcess]]

MAX_DEATHS = 10
DEATHS_WINDOW_S = 60.0
"""More deaths than `MAX_DEATHS` within this time, and no worker is started until it is over."""


class WorkerSupervisor:
    """One worker at a time, from `start`; another when it has died."""

    def __init__(self, start: StartWorker) -> None:
        self._start = start
        self._start_lock = asyncio.Lock()
        self._worker: WorkerProcess | None = None
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._closed = False

    @property
    def worker(self) -> WorkerProcess | None:
        """The worker that runs now."""
        return self._worker if self._worker and not self._worker.exited.done() else None

    async def running(self) -> WorkerProcess:
        """Return the worker, started if there is none.

        Raises what `start` raises, and `Unavailable` when too many died lately
        (`index_worker_crash_loop`) or after `close` (`shutting_down`).
        """
        # One start at a time: two workers would write the same folders.
        async with self._start_lock:
            if self._closed:
                raise Unavailable("The indexes are being closed.", code="shutting_down")
            if running := self.worker:
                return running
            if self._worker:
                self._note_death(self._worker)
            self._worker = await self._start()
            return self._worker

    def close(self) -> None:
        """Start no more workers; the running one goes on."""
        self._closed = True

    async def stop(self) -> None:
        """Stop the worker, also one that is only starting."""
        async with self._start_lock:
            if self._worker:
                await self._worker.stop()

    def _note_death(self, worker: WorkerProcess) -> None:
        now_s = time.monotonic()
        if len(self._deaths) == MAX_DEATHS and now_s - self._deaths[0] < DEATHS_WINDOW_S:
            raise Unavailable(
                f"The index worker died {MAX_DEATHS} times within a minute; see the log.",
                code="index_worker_crash_loop",
                retry_after_s=DEATHS_WINDOW_S,
                details={"stderr": worker.stderr},
            )
        self._deaths.append(now_s)
