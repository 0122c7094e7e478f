"""A worker for work that anyone may hand in: started when needed, ended when idle or stuck.

Owns one process at a time, for one call at a time, confined to what it is handed. Invariant: a call
that hangs or is given up costs its process, never the next call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from config.errors import TimedOut, Unavailable
from config.turns import FairSemaphore
from models.workers.confinement import PARSING, Confinement
from models.workers.process import Reply, WorkerProcess
from models.workers.restart import start_again_if_killed

IDLE_S = 30.0


class OnDemandWorker:
    """One call at a time in a process of its own. `close` ends it."""

    def __init__(
        self,
        target: str,
        *,
        name: str,
        options: Mapping[str, Any],
        threads: int | None = None,
        idle_s: float = IDLE_S,
        confinement: Confinement = PARSING,
    ) -> None:
        self._confinement = confinement
        self._target = target
        self._name = name
        self._options = dict(options)
        self._threads = threads
        self._idle_s = idle_s
        self._closed = False
        self._worker: WorkerProcess | None = None
        self._abandoned = False
        self._turn = FairSemaphore(1)
        self._client = ""
        """Whose files the present process has seen."""
        self._calls_made = 0
        """Counts the calls, so that a timer knows whether it is still that of the last one."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def call(
        self,
        method: str,
        header: Mapping[str, Any],
        body: bytes = b"",
        *,
        timeout_s: float,
        client: str = "",
    ) -> Reply:
        """Answer by the handler. Raises as `start_again_if_killed` and `WorkerProcess.call` do.

        `timeout_s` counts from when it is this call's turn. A worker whose call took longer, or was
        cancelled, is ended, for it cannot be told to stop in the middle of a library. A call whose
        worker died is made once more, in another: it need not be the call's doing. Clients take
        turns, and no process serves two of them: what a file of one left in it reaches no other.
        """
        # One at a time, so that the bound on time is the call's own.
        async with self._turn.hold(client):
            self._stop_idle_timer()
            self._calls_made += 1
            try:
                if client != self._client:
                    await self._end_worker()
                    self._client = client
                try:
                    return await self._call_once(method, header, body, timeout_s)
                except Unavailable as error:
                    if error.code != "worker_died" or self._closed:
                        raise
                return await self._call_once(method, header, body, timeout_s)
            except (TimedOut, asyncio.CancelledError):
                self._abandon_worker()
                raise
            finally:
                self._start_idle_timer()

    async def close(self) -> None:
        """End the worker; a call in progress fails with `Unavailable`."""
        self._closed = True
        self._stop_idle_timer()
        if self._worker:
            await self._worker.stop(grace_s=0)
        if self._ending:
            await asyncio.wait([self._ending])

    async def _call_once(
        self, method: str, header: Mapping[str, Any], body: bytes, timeout_s: float
    ) -> Reply:
        worker = await self._ensure_running()
        return await worker.call(method, header, body, timeout_s=timeout_s)

    async def _ensure_running(self) -> WorkerProcess:
        if self._closed:
            raise Unavailable(f"The {self._name} is closed.", code="shutting_down")
        if self._worker and (self._abandoned or self._worker.exited.done()):
            await self._end_worker()
        if self._worker is None:
            self._worker = await start_again_if_killed(self._start)
        return self._worker

    async def _start(self) -> WorkerProcess:
        return await WorkerProcess.start(
            self._target,
            name=self._name,
            options=self._options,
            threads=self._threads,
            confinement=self._confinement,
        )

    def _abandon_worker(self) -> None:
        """Kill the worker at once; the next call waits for its end and starts another."""
        if self._worker:
            self._abandoned = True
            self._worker.kill()

    async def _end_worker(self) -> None:
        worker, self._worker, self._abandoned = self._worker, None, False
        if worker:
            await worker.stop(grace_s=0)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _start_idle_timer(self) -> None:
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._idle_s, self._leave, self._calls_made)

    def _leave(self, last_call: int) -> None:
        self._ending = asyncio.create_task(self._end_if_idle(last_call), name=f"{self._name}: idle")

    async def _end_if_idle(self, last_call: int) -> None:
        async with self._turn.hold(self._client):
            # While this waited for its turn another call may have come, which set its own timer.
            # Calls are counted, not times compared: timers may fire a little early, and uvloop's
            # `call_later(0, ...)` returns a handle without `when()`.
            if last_call == self._calls_made:
                await self._end_worker()
