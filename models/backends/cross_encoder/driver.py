"""Cross-encoders, from a folder or the Hugging Face Hub: how well texts answer a query."""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Literal

from pydantic import Field

from config.errors import MotetError, Unavailable
from models.backends.common.batches import readable
from models.backends.common.options import Options
from models.backends.common.sources import folder_of, needed, weights, why_missing
from models.backends.common.worker_model import measured
from models.capabilities import FLOAT_BYTES
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement
from models.workers.supervised import SupervisedWorker

WORKER = "models.backends.cross_encoder.worker:CrossEncoder"
PACKAGES = ("torch", "transformers")
LIBRARIES_BYTES = 500_000_000
UNKNOWN_BYTES = 1_000_000_000
MAX_THREADS = 4

TEXT_CHARACTERS = 20_000
CALL_TIMEOUT_S = 120.0
START_TIMEOUT_S = 590.0


class CrossEncoderOptions(Options):
    """`options:` of a model of this back end."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(
        None, ge=1, description="As it comes, one for each core, at most 4."
    )
    max_tokens: int | None = Field(None, ge=8, description="Of query and text; the model's limit.")


class CrossEncoderDriver:
    """Starts one worker process for each model."""

    def __init__(self, context: DriverContext) -> None:
        self._accelerators = context.accelerators
        self._workers = context.workers

    async def available(self, spec: ModelSpec) -> str | None:
        missing = [package for package in PACKAGES if find_spec(package) is None]
        if missing:
            return f"not installed: {', '.join(missing)} (pip install)"
        try:
            CrossEncoderOptions.of(spec.name, spec.options)
        except MotetError as error:
            return error.message
        return why_missing(spec.name, spec.source)

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        if task != "rerank":
            return None
        name = f"cross_encoder/{source}"
        return ModelSpec(name=name, task=task, backend="cross_encoder", source=source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        folder = folder_of(spec.source)
        taken = weights(folder).stored_bytes if folder else UNKNOWN_BYTES
        return list_placements(
            spec,
            self._accelerators,
            device_bytes=spec.memory_bytes or taken + LIBRARIES_BYTES,
            host_bytes=LIBRARIES_BYTES,
            cpu_bytes=spec.memory_bytes or taken + LIBRARIES_BYTES,
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> CrossEncoder:
        options = CrossEncoderOptions.of(spec.name, spec.options).model_dump()
        options["threads"] = options["threads"] or min(MAX_THREADS, os.cpu_count() or 1)
        folder = needed(spec.name, spec.source)
        start = partial(
            self._workers.start,
            WORKER,
            name=spec.name,
            options={"source": str(folder), "device": need.device, **options},
            start_timeout_s=START_TIMEOUT_S,
        )
        return CrossEncoder(await SupervisedWorker.open(start), need)

    async def close(self) -> None:
        pass


class CrossEncoder:
    """The loaded model, which is its own `Rerank`."""

    def __init__(self, worker: SupervisedWorker, need: MemoryRequirement) -> None:
        self._worker = worker
        self._need = need
        self.lost = worker.lost

    @property
    def capability(self) -> CrossEncoder:
        return self

    @property
    def memory(self) -> Mapping[str, int]:
        return measured(self._worker.worker, self._need)

    async def unload(self) -> None:
        await self._worker.stop()

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        asked, *cut = readable([query, *texts], TEXT_CHARACTERS)
        reply = await self._worker.call(
            "rerank",
            {"query": asked, "texts": cut},
            urgent=True,  # somebody waits for a search
            timeout_s=CALL_TIMEOUT_S,
            repeatable=True,
        )
        if len(reply.body) != len(texts) * FLOAT_BYTES:
            raise Unavailable("The reranker answered with too few scores.", code="worker_failed")
        return array("f", reply.body).tolist()
