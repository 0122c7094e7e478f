"""A worker for work that anyone may hand in: started when needed, ended when idle or stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from config.errors import TimedOut, Unavailable
from models.workers.process import Reply, WorkerProcess

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
    ) -> None:
        self._target = target
        self._name = name
        self._options = dict(options)
        self._threads = threads
        self._idle_s = idle_s
        self._closed = False
        self._worker: WorkerProcess | None = None
        self._given_up = False
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def call(
        self, method: str, header: Mapping[str, Any], body: bytes = b"", *, timeout_s: float
    ) -> Reply:
        """The handler's answer. Raises as `WorkerProcess.start` and `.call` do.

        `timeout_s` counts from when it is this call's turn. A worker whose call took longer, or was
        cancelled, is ended, for it cannot be told to stop in the middle of a library.
        """
        # One at a time, so that the bound on time is the call's own.
        async with self._turn:
            self._stay()
            try:
                worker = await self._running()
                return await worker.call(method, header, body, timeout_s=timeout_s)
            except (TimedOut, asyncio.CancelledError):
                self._give_up()
                raise
            finally:
                self._leave_later()

    async def close(self) -> None:
        """End the worker; a call in progress fails with `Unavailable`."""
        self._closed = True
        self._stay()
        if self._worker:
            await self._worker.stop(grace_s=0)
        if self._ending:
            await asyncio.wait([self._ending])

    async def _running(self) -> WorkerProcess:
        if self._closed:
            raise Unavailable(f"The {self._name} is closed.", code="shutting_down")
        if self._worker and (self._given_up or self._worker.exited.done()):
            await self._end()
        if self._worker is None:
            self._worker = await WorkerProcess.start(
                self._target, name=self._name, options=self._options, threads=self._threads
            )
        return self._worker

    def _give_up(self) -> None:
        if self._worker:
            self._given_up = True
            self._worker.kill()

    async def _end(self) -> None:
        worker, self._worker, self._given_up = self._worker, None, False
        if worker:
            await worker.stop(grace_s=0)

    def _stay(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def _leave_later(self) -> None:
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_s, self._leave)

    def _leave(self) -> None:
        self._ending = asyncio.create_task(self._end_idle(), name=f"{self._name}: idle")

    async def _end_idle(self) -> None:
        async with self._turn:
            # Meanwhile it may have been wanted again, and then leaves later.
            if self._idle and self._idle.when() <= asyncio.get_running_loop().time():
                await self._end()
