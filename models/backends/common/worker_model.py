"""A model in a worker process of its own: what every such back end's model is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from config.errors import TimedOut
from models.devices import RAM
from models.scheduling.requirement import MemoryRequirement
from models.workers.launch import how_it_ended
from models.workers.process import Reply, WorkerProcess


class WorkerModel:
    """Base of loaded models whose worker, once it died, is loaded anew by the scheduler."""

    def __init__(self, worker: WorkerProcess, need: MemoryRequirement) -> None:
        self._worker = worker
        self._need = need
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        worker.exited.add_done_callback(self._ended)

    @property
    def lost(self) -> asyncio.Future[str]:
        return self._lost

    @property
    def memory(self) -> Mapping[str, int]:
        return measured(self._worker, self._need)

    async def unload(self) -> None:
        self._lost.cancel()
        await self._worker.stop()

    async def _stream(
        self, method: str, header: Mapping[str, Any], body: bytes = b"", *, silence_s: float
    ) -> AsyncGenerator[Reply, None]:
        """The worker's pieces. One silent for `silence_s` is ended: it may hang for ever."""
        try:
            async with aclosing(
                self._worker.stream(method, header, body, timeout_s=silence_s)
            ) as replies:
                async for reply in replies:
                    yield reply
        except TimedOut:
            self._worker.kill()
            raise

    def _ended(self, exited: asyncio.Future[Any]) -> None:
        if not self._lost.done():
            self._lost.set_result(how_it_ended(exited.result().returncode))


def measured(worker: WorkerProcess, need: MemoryRequirement) -> Mapping[str, int]:
    """What a worker takes, by device, as its last heartbeat told."""
    memory = {RAM: worker.memory["rss_bytes"]}
    if need.device in need.memory and need.device != RAM:
        memory[need.device] = worker.memory.get("device_bytes", need.memory[need.device])
    return memory
