"""Starts workers that import torch, the next one from a process that did so beforehand.

Owns the spare process until a worker is started in it. Invariant: a spare is an economy alone; one
that died, or could not be started, costs no load.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any

import psutil

from config.errors import MotetError, Unavailable
from models.workers.launch import EXIT_S, Launched, kill_group, launch
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)

IDLE_S = 300.0
"""Nobody loaded a model for so long: the spare's memory is better used otherwise."""
ROOM_BYTES = 4 * 2**30
"""Free memory without which no process is kept for later."""

ENVIRONMENT = {
    # Weights are fetched by a pull, where one can watch it; a load asks nobody.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    # torch counts GPUs as NVML does.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
}


class PrewarmedWorkers:
    """Starts workers, and keeps one spare process that has imported what they import.

    The imports of a model's libraries take seconds, often longer than its weights. The spare is
    made when a worker has started, and ended when none was started for a while. `close` it.
    """

    def __init__(self, *, spare: bool = True, idle_s: float = IDLE_S) -> None:
        self._keeps_spare = spare
        self._idle_s = idle_s
        self._modules: dict[str, None] = {}
        self._spare: Launched | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    async def start(
        self, target: str, *, name: str, options: dict[str, Any], start_timeout_s: float = 120.0
    ) -> WorkerProcess:
        """Start a worker as `WorkerProcess.start` does, in the spare process if there is one.

        Numeric libraries have one thread until the handler says otherwise; model hubs have no
        network.
        """
        # Taken before anything is awaited: two starts at once never get the same spare.
        spare, self._spare = self._spare, None
        begin = partial(
            WorkerProcess.start,
            target,
            name=name,
            options=options,
            threads=1,
            env=ENVIRONMENT,
            start_timeout_s=start_timeout_s,
        )
        try:
            try:
                return await begin(launched=spare)
            except Unavailable as error:
                # A spare may have been killed while it waited, which is no fault of this model's.
                if spare is None or error.code != "worker_died":
                    raise
            return await begin()
        finally:
            self._modules[target.partition(":")[0]] = None
            self._prepare_spare()

    async def spare_pid(self) -> int | None:
        """Return the process that waits to be the next worker, once one under way is there."""
        if self._preparing:
            await asyncio.wait([self._preparing])
        return self._spare.process.pid if self._spare else None

    async def close(self) -> None:
        self._keeps_spare = False
        if self._preparing:
            # Not cancelled: a process half begun would be nobody's.
            await asyncio.wait([self._preparing])
        if self._idle_timer:
            self._idle_timer.cancel()
        await self._end_spare()

    def _prepare_spare(self) -> None:
        """Make the next spare, off the way of the load that just ended."""
        if self._idle_timer:
            self._idle_timer.cancel()
        room = psutil.virtual_memory().available > ROOM_BYTES
        if self._keeps_spare and room and (self._preparing is None or self._preparing.done()):
            self._preparing = asyncio.create_task(self._launch_spare(), name="spare worker")

    async def _launch_spare(self) -> None:
        try:
            if self._spare is None:
                self._spare = await launch("spare", 1, ENVIRONMENT, list(self._modules))
        except MotetError as error:  # the next load starts a process of its own
            log.warning("%s", error.message)
        self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self._leave)

    def _leave(self) -> None:
        self._preparing = asyncio.create_task(self._end_spare(), name="spare worker: idle")

    async def _end_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is None:
            return
        kill_group(spare.process.pid)
        spare.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_S):
                await spare.process.wait()
