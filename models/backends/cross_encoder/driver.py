"""Cross-encoders, from a folder or the Hugging Face Hub: how well texts answer a query."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import partial
from typing import Literal

from pydantic import Field

from models.backends.common.base_driver import (
    LOAD_TIMEOUT_S,
    BaseDriver,
    estimate_by_weights,
)
from models.backends.common.batches import readable
from models.backends.common.sources import folder_of, require_folder, weights, why_missing
from models.backends.common.torch_options import ThreadedOptions, build_worker_options
from models.backends.common.worker_model import SupervisedModel
from models.capabilities import FLOAT_BYTES
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.scheduling.requirement import MemoryRequirement
from models.workers.supervised import SupervisedWorker

WORKER = "models.backends.cross_encoder.worker:CrossEncoderHandler"
LIBRARIES_BYTES = 500_000_000
UNKNOWN_BYTES = 1_000_000_000
"""What weights are taken to be that are not on this machine."""
TEXT_CHARACTERS = 20_000
"""More of a text hardly ever reaches the tokens that are read."""


class CrossEncoderOptions(ThreadedOptions):
    """`options:` of a model of this back end."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    max_tokens: int | None = Field(None, ge=8, description="Of query and text; the model's limit.")


class CrossEncoderDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "cross_encoder"
    tasks = ("rerank",)
    packages = ("torch", "transformers")
    looks_at_files = True
    named_tasks = ("rerank",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        CrossEncoderOptions.of(spec.name, spec.options)
        return why_missing(spec.name, spec.source, allow_pickles=self.allow_pickles)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        folder = folder_of(spec.source)
        weights_bytes = weights(folder).stored_bytes if folder else UNKNOWN_BYTES
        accelerators = self._context.accelerators
        return estimate_by_weights(spec, accelerators, weights_bytes, LIBRARIES_BYTES)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> CrossEncoderModel:
        options = CrossEncoderOptions.of(spec.name, spec.options)
        folder = require_folder(spec.name, spec.source, allow_pickles=self.allow_pickles)
        start_worker = partial(
            self._context.workers.start,
            WORKER,
            name=spec.name,
            options=build_worker_options(options, folder, need.device),
            start_timeout_s=LOAD_TIMEOUT_S,
        )
        return CrossEncoderModel(await SupervisedWorker.open(start_worker), need)


class CrossEncoderModel(SupervisedModel):
    """The loaded model, which is its own `Rerank`."""

    short_answer = "The reranker answered with too few scores."

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score the texts as `Rerank.rerank` does, in one call of the worker."""
        if not texts:
            return []
        cut_query, *cut_texts = readable([query, *texts], TEXT_CHARACTERS)
        scores = await self._call(
            "rerank",
            {"query": cut_query, "texts": cut_texts},
            answer_bytes=len(texts) * FLOAT_BYTES,
            urgent=True,  # somebody waits for a search
        )
        return array("f", scores).tolist()
