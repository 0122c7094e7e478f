"""Models in worker processes of their own: the server's side of what their back ends share.

Three kinds: a `WorkerModel` streams, and is loaded anew by the scheduler once its worker died; a
`SerialWorkerModel` serves one caller at a time; a `SupervisedModel` makes single repeatable calls,
and its worker is started again without the scheduler. What goes over the wire is each back end's.
Invariant: a worker that let its time bound pass is killed, for it may hang for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar, Self

from config.errors import TimedOut, Unavailable
from models.capabilities import FLOAT_BYTES
from models.devices import RAM
from models.scheduling.requirement import MemoryRequirement
from models.workers.launch import describe_exit
from models.workers.process import Reply, WorkerProcess
from models.workers.supervised import SupervisedWorker

CALL_TIMEOUT_S = 120.0
"""One call of a supervised model, some hundred texts at most, on a busy CPU."""


class WorkerModel:
    """Base of a loaded model whose worker, once it died, is loaded anew by the scheduler.

    A subclass gives `capability`. The manager closes it with `unload`.
    """

    def __init__(self, worker: WorkerProcess, need: MemoryRequirement) -> None:
        self._worker = worker
        self._need = need
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        worker.exited.add_done_callback(self._worker_exited)

    @property
    def lost(self) -> asyncio.Future[str]:
        return self._lost

    @property
    def memory(self) -> Mapping[str, int]:
        return measure_worker(self._worker, self._need)

    async def unload(self) -> None:
        """End the worker, and so free its memory; its end is then no loss."""
        # Before the worker ends, or its exit would be taken for a crash.
        self._lost.cancel()
        await self._worker.stop()

    async def _stream(
        self, method: str, header: Mapping[str, Any], body: bytes = b"", *, silence_s: float
    ) -> AsyncGenerator[Reply, None]:
        """Yield the worker's pieces. One silent for `silence_s` is killed: `TimedOut`."""
        try:
            async with aclosing(
                self._worker.stream(method, header, body, timeout_s=silence_s)
            ) as replies:
                async for reply in replies:
                    yield reply
        except TimedOut:
            self._worker.kill()
            raise

    def _worker_exited(self, exited: asyncio.Future[Any]) -> None:
        # Cancelled by `unload`: then this end was meant.
        if not self._lost.done():
            self._lost.set_result(describe_exit(exited.result().returncode))


class SerialWorkerModel(WorkerModel):
    """A model that serves one caller at a time; the driver sets `capability` after the load."""

    capability: object

    def __init__(self, worker: WorkerProcess, need: MemoryRequirement, silence_s: float) -> None:
        super().__init__(worker, need)
        self._silence_s = silence_s
        self._turn = asyncio.Lock()

    async def ask(
        self, method: str, header: Mapping[str, Any], body: bytes = b""
    ) -> AsyncGenerator[Reply, None]:
        """Yield the worker's pieces and its answer, when it is this caller's turn.

        Callers wait here, not in the worker: there their wait would count as its silence. Close
        the generator to give up; the worker then stops at its next step or token. Raises
        `TimedOut` (`model_timed_out`) and what the handler raises.
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


class SupervisedModel:
    """Base of a model that is its own capability and whose worker comes back by itself.

    For models whose calls are short and may be made twice. `lost` completes when the worker died
    and could not be started again.
    """

    short_answer: ClassVar[str]
    """The message for an answer that has not the size it should have."""

    def __init__(self, worker: SupervisedWorker, need: MemoryRequirement) -> None:
        self._worker = worker
        self._need = need
        self.lost = worker.lost

    @property
    def capability(self) -> Self:
        return self

    @property
    def memory(self) -> Mapping[str, int]:
        return measure_worker(self._worker.worker, self._need)

    async def unload(self) -> None:
        """End the worker, and so free its memory."""
        await self._worker.stop()

    async def _call(
        self, method: str, header: Mapping[str, Any], *, answer_bytes: int, urgent: bool
    ) -> bytes:
        """Return the worker's answer. Raises `Unavailable` when it has not `answer_bytes`."""
        reply = await self._worker.call(
            method, header, urgent=urgent, timeout_s=CALL_TIMEOUT_S, repeatable=True
        )
        if len(reply.body) != answer_bytes:
            raise Unavailable(self.short_answer, code="worker_failed")
        return reply.body


class EmbedderModel(SupervisedModel):
    """Base of an `Embed` in a worker, which told its `fingerprint` and `dimensions` in `about`."""

    short_answer = "The embedder answered with too few vectors."

    def __init__(
        self, worker: SupervisedWorker, need: MemoryRequirement, about: Mapping[str, Any]
    ) -> None:
        super().__init__(worker, need)
        self.fingerprint: str = about["fingerprint"]
        self.dimensions: int = about["dimensions"]

    @classmethod
    async def start(
        cls, start_worker: Callable[[], Awaitable[WorkerProcess]], need: MemoryRequirement
    ) -> Self:
        """Start the worker and ask about its model. Nothing is left running when this raises."""
        worker = await SupervisedWorker.open(start_worker)
        async with stop_on_failure(worker):
            about = await worker.call("about", timeout_s=CALL_TIMEOUT_S, repeatable=True)
            return cls(worker, need, about.header)

    @property
    def _row_bytes(self) -> int:
        return self.dimensions * FLOAT_BYTES


@asynccontextmanager
async def stop_on_failure(worker: WorkerProcess | SupervisedWorker) -> AsyncIterator[None]:
    """Stop a worker at once when the block that readies its model fails or is cancelled."""
    try:
        yield
    except BaseException:
        await worker.stop(grace_s=0)
        raise


def measure_worker(worker: WorkerProcess, need: MemoryRequirement) -> Mapping[str, int]:
    """Return what a worker takes, by device, as its last heartbeat said."""
    memory = {RAM: worker.memory["ram_bytes"]}
    if need.device in need.memory and need.device != RAM:
        memory[need.device] = worker.memory.get("device_bytes", need.memory[need.device])
    return memory
