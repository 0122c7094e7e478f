"""A loaded model of this back end: its worker, asked by one caller at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from config.errors import TimedOut
from models.backends.common.worker_model import WorkerModel
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import Reply, WorkerProcess


class TransformersModel(WorkerModel):
    """`capability` is set by the driver, for the task of the model."""

    capability: object

    def __init__(self, worker: WorkerProcess, need: MemoryRequirement, silence_s: float) -> None:
        super().__init__(worker, need)
        self._silence_s = silence_s
        self._turn = asyncio.Lock()

    async def ask(
        self, method: str, header: Mapping[str, Any], body: bytes = b""
    ) -> AsyncGenerator[Reply, None]:
        """The worker's pieces and its answer.

        Others wait for their turn here, not in the worker: there their wait would count as its
        silence. Close this to give up; the worker then stops with its present token.
        """
        async with self._turn:
            stream = self._stream(method, header, body, silence_s=self._silence_s)
            try:
                async with aclosing(stream) as replies:
                    async for reply in replies:
                        yield reply
            except TimedOut as error:
                raise TimedOut(
                    f"'{self._worker.name}' was silent for {self._silence_s:g} s and was ended. "
                    "Raise the model's option `timeout_s` where it may take longer.",
                    code="model_timed_out",
                ) from error
