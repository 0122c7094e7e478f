"""Causal models, models that look at pictures and models that hear, each in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from config.errors import MotetError
from models.backends.common.base_driver import (
    ABOUT_TIMEOUT_S,
    LOAD_TIMEOUT_S,
    BaseDriver,
    check_task,
)
from models.backends.common.sources import require_folder, why_missing
from models.backends.common.torch_options import (
    build_worker_options,
    check_quantizer,
    find_missing_quantizer,
)
from models.backends.common.worker_model import SerialWorkerModel, stop_on_failure
from models.backends.transformers.needs import needs
from models.backends.transformers.options import (
    OPTIONS,
    TransformersChatOptions,
    TransformersOptions,
)
from models.catalog.spec import ModelSpec, Task
from models.driver import Progress
from models.scheduling.requirement import MemoryRequirement

WORKERS: dict[Task, str] = {
    "chat": "models.backends.transformers.worker.text:TextHandler",
    "caption": "models.backends.transformers.worker.vision:VisionHandler",
    "transcribe": "models.backends.transformers.worker.whisper:WhisperHandler",
}
CAPABILITIES: dict[Task, str] = {
    "chat": "models.backends.transformers.chat:TransformersChat",
    "caption": "models.backends.transformers.caption:TransformersCaption",
    "transcribe": "models.backends.common.worker_transcribe:WorkerTranscribe",
}
"""Imported when a model of the task is loaded: LangChain's chat models cost 0.3 s and 40 MB."""


class TransformersDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "transformers"
    packages = ("torch", "transformers")
    looks_at_files = True
    named_tasks = tuple(OPTIONS)

    def find_problem(self, spec: ModelSpec) -> str | None:
        return find_missing_quantizer(_check(spec)) or why_missing(
            spec.name, spec.source, allow_pickles=self.allow_pickles
        )

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        try:
            options = _check(spec)
        except MotetError:  # reported by `available` and by `load`
            options = TransformersChatOptions()
        return needs(spec, options, self._context.accelerators)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> SerialWorkerModel:
        options = _check(spec)
        check_quantizer(spec.name, options)
        folder = require_folder(spec.name, spec.source, allow_pickles=self.allow_pickles)
        worker = await self._context.workers.start(
            WORKERS[spec.task],
            name=spec.name,
            options=build_worker_options(options, folder, need.device),
            start_timeout_s=LOAD_TIMEOUT_S,
        )
        async with stop_on_failure(worker):
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
        model = SerialWorkerModel(worker, need, options.timeout_s)
        module, name = CAPABILITIES[spec.task].split(":")
        capability: Any = getattr(await asyncio.to_thread(import_module, module), name)
        model.capability = capability(model, spec.name, options, about)
        return model


def _check(spec: ModelSpec) -> TransformersOptions:
    check_task(spec, list(OPTIONS))
    return OPTIONS[spec.task].of(spec.name, spec.options)
