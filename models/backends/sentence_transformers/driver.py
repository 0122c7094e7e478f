"""Embedding models of the sentence-transformers library, from a folder or the Hub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field

from config.errors import Invalid, MotetError, Unavailable
from models.backends.common.batches import chunks, readable
from models.backends.common.options import Options
from models.backends.common.sources import folder_of, needed, weights, why_missing
from models.backends.common.worker_model import measured
from models.capabilities import FLOAT_BYTES, Embedded, Parts, Vectors
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement
from models.workers.supervised import SupervisedWorker

WORKER = "models.backends.sentence_transformers.worker:SentenceEmbedder"
PACKAGES = ("torch", "sentence_transformers")
LIBRARIES_BYTES = 600_000_000
UNKNOWN_BYTES = 1_000_000_000
NUMBER_BYTES = 4
MAX_THREADS = 4
TEXT_CHARACTERS = 40_000
CALL_TIMEOUT_S = 120.0
START_TIMEOUT_S = 590.0


class SentenceOptions(Options):
    """`options:` of a model of this back end."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: int | None = Field(None, ge=1, description="On a CPU; one for each core, at most 4.")
    max_tokens: int | None = Field(None, ge=8, description="Read of each text; the model's limit.")
    dimensions: int | None = Field(
        None, ge=1, description="Fewer than it has, for a model that is made to be cut."
    )
    query_prompt: str | None = Field(None, description="Before each query; the model's own.")
    document_prompt: str | None = Field(None, description="Before each text; the model's own.")


class SentenceTransformersDriver:
    """Starts one worker process for each model."""

    def __init__(self, context: DriverContext) -> None:
        self._accelerators = context.accelerators
        self._workers = context.workers

    async def available(self, spec: ModelSpec) -> str | None:
        absent = [package for package in PACKAGES if find_spec(package) is None]
        if absent:
            return f"not installed: {', '.join(absent)} (pip install 'motet[sentences]')"
        try:
            _checked(spec)
        except MotetError as error:
            return error.message
        return why_missing(spec.name, spec.source)

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        if task != "embed":
            return None
        name = f"sentence_transformers/{source}"
        return ModelSpec(name=name, task=task, backend="sentence_transformers", source=source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        folder = folder_of(spec.source)
        taken = weights(folder).numbers * NUMBER_BYTES if folder else UNKNOWN_BYTES
        return list_placements(
            spec,
            self._accelerators,
            device_bytes=spec.memory_bytes or taken + LIBRARIES_BYTES,
            host_bytes=LIBRARIES_BYTES,
            cpu_bytes=spec.memory_bytes or taken + LIBRARIES_BYTES,
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> SentenceModel:
        options = _checked(spec).model_dump()
        options["threads"] = options["threads"] or min(MAX_THREADS, os.cpu_count() or 1)
        folder = needed(spec.name, spec.source)
        start = partial(
            self._workers.start,
            WORKER,
            name=spec.name,
            options={"source": str(folder), "device": need.device, **options},
            start_timeout_s=START_TIMEOUT_S,
        )
        worker = await SupervisedWorker.open(start)
        try:
            about = (await worker.call("about", timeout_s=CALL_TIMEOUT_S, repeatable=True)).header
        except BaseException:
            await worker.stop(grace_s=0)
            raise
        return SentenceModel(worker, need, about["fingerprint"], about["dimensions"])

    async def close(self) -> None:
        pass


class SentenceModel:
    """The loaded model, which is its own `Embed`. Urgent texts are taken as queries."""

    def __init__(
        self, worker: SupervisedWorker, need: MemoryRequirement, fingerprint: str, dimensions: int
    ) -> None:
        self._worker = worker
        self._need = need
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.lost = worker.lost

    @property
    def capability(self) -> SentenceModel:
        return self

    @property
    def memory(self) -> Mapping[str, int]:
        return measured(self._worker.worker, self._need)

    async def unload(self) -> None:
        await self._worker.stop()

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        cut = readable(texts, TEXT_CHARACTERS)
        rows = [b""] * len(cut)
        width = self.dimensions * FLOAT_BYTES
        for chunk in chunks(cut):
            header = {"texts": [cut[number] for number in chunk], "query": urgent}
            data = await self._call(header, urgent, width * len(chunk))
            for place, number in enumerate(chunk):
                rows[number] = data[place * width : (place + 1) * width]
        return Vectors.joined(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        """Without vectors of parts: its library pools in too many ways to take them apart."""
        return Embedded(await self.embed(texts), [Parts() for _ in texts])

    async def _call(self, header: dict[str, Any], urgent: bool, size: int) -> bytes:
        reply = await self._worker.call(
            "embed", header, urgent=urgent, timeout_s=CALL_TIMEOUT_S, repeatable=True
        )
        if len(reply.body) != size:
            raise Unavailable("The embedder answered with too few vectors.", code="worker_failed")
        return reply.body


def _checked(spec: ModelSpec) -> SentenceOptions:
    if spec.task != "embed":
        raise Invalid(
            f"{spec.name}: this back end embeds, and is not for {spec.task}.",
            code="task_unsupported",
        )
    return SentenceOptions.of(spec.name, spec.options)
