"""The slots of a model: how many requests its worker answers at once.

Owns the queue of callers. They wait here, not in llama.cpp: there their wait would count as the
model's silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.errors import Unavailable
from models.workers import errors
from models.workers.process import WorkerProcess

EXIT_NOTICE_S = 2.0
"""A dead worker's connections break some milliseconds before its end is known."""


class Slots:
    """Lets as many callers in as there are slots, in the order of their arrival."""

    def __init__(self, count: int, worker: WorkerProcess) -> None:
        self._turns = asyncio.Semaphore(count)
        self._worker = worker

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Hold one slot as long as the context lasts; entering waits for it.

        When the worker dies meanwhile, its end is known to the scheduler before this raises: the
        next lease then loads the model anew.
        """
        async with self._turns:
            try:
                yield
            except Unavailable as error:
                if error.code != "worker_died":
                    raise
                await asyncio.wait([self._worker.exited], timeout=EXIT_NOTICE_S)
                raise worker_died(self._worker) from error


def worker_died(worker: WorkerProcess) -> Unavailable:
    """Make the error of a request whose connection to the worker broke."""
    returncode = worker.exited.result().returncode if worker.exited.done() else None
    return errors.died(worker.name, returncode, worker.stderr)
