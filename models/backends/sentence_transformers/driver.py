"""Embedding models of the sentence-transformers library, from a folder or the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from pydantic import Field

from models.backends.common.base_driver import (
    LOAD_TIMEOUT_S,
    BaseDriver,
    check_task,
    estimate_by_weights,
)
from models.backends.common.batches import chunks, readable
from models.backends.common.sources import folder_of, require_folder, weights, why_missing
from models.backends.common.torch_options import ThreadedOptions, build_worker_options
from models.backends.common.vectors import without_parts
from models.backends.common.worker_model import EmbedderModel
from models.capabilities import Embedded, Vectors
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.scheduling.requirement import MemoryRequirement

WORKER = "models.backends.sentence_transformers.worker:SentenceTransformersHandler"
LIBRARIES_BYTES = 1_000_000_000
"""The libraries, with their kernels and the numbers of one batch; measured with MiniLM."""
UNKNOWN_BYTES = 1_000_000_000
"""What weights are taken to be that are not on this machine."""
NUMBER_BYTES = 4
"""Weights are counted as float32: whether the worker computes in fewer bits it decides itself."""
TEXT_CHARACTERS = 40_000
"""More of a text hardly ever reaches the tokens that are read."""


class SentenceTransformersOptions(ThreadedOptions):
    """`options:` of a model of this back end."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_tokens: int | None = Field(None, ge=8, description="Read of each text; the model's limit.")
    dimensions: int | None = Field(
        None, ge=1, description="Fewer than it has, for a model that is made to be cut."
    )
    query_prompt: str | None = Field(None, description="Before each query; the model's own.")
    document_prompt: str | None = Field(None, description="Before each text; the model's own.")


class SentenceTransformersDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "sentence_transformers"
    packages = ("torch", "sentence_transformers")
    how_to_install = "pip install 'motet[sentences]'"
    looks_at_files = True
    named_tasks = ("embed",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        _check(spec)
        return why_missing(spec.name, spec.source, allow_pickles=self.allow_pickles)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        folder = folder_of(spec.source)
        weights_bytes = weights(folder).numbers * NUMBER_BYTES if folder else UNKNOWN_BYTES
        accelerators = self._context.accelerators
        return estimate_by_weights(spec, accelerators, weights_bytes, LIBRARIES_BYTES)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> SentenceTransformersModel:
        options = _check(spec)
        folder = require_folder(spec.name, spec.source, allow_pickles=self.allow_pickles)
        start_worker = partial(
            self._context.workers.start,
            WORKER,
            name=spec.name,
            options=build_worker_options(options, folder, need.device),
            start_timeout_s=LOAD_TIMEOUT_S,
        )
        return await SentenceTransformersModel.start(start_worker, need)


class SentenceTransformersModel(EmbedderModel):
    """The loaded model, which is its own `Embed`. Urgent texts are taken as queries."""

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        """Embed as `Embed.embed` does, one small call after the other."""
        cut = readable(texts, TEXT_CHARACTERS)
        rows = [b""] * len(cut)
        width = self._row_bytes
        for chunk in chunks(cut):
            header = {"texts": [cut[number] for number in chunk], "query": urgent}
            data = await self._call("embed", header, answer_bytes=width * len(chunk), urgent=urgent)
            for position, number in enumerate(chunk):
                rows[number] = data[position * width : (position + 1) * width]
        return Vectors.joined(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        """Embed without vectors of parts: the library pools in too many ways to take them apart."""
        return without_parts(await self.embed(texts), parts)


def _check(spec: ModelSpec) -> SentenceTransformersOptions:
    check_task(spec, ("embed",))
    return SentenceTransformersOptions.of(spec.name, spec.options)
