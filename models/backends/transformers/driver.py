"""Causal models, models that look at pictures and models that hear, each in a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, cast

from config.errors import Invalid, MotetError
from models.backends.common.sources import needed, why_missing
from models.backends.transformers.model import TransformersModel
from models.backends.transformers.needs import needs
from models.backends.transformers.options import (
    OPTIONS,
    QUANTIZERS,
    CaptionOptions,
    ChatOptions,
    TranscribeOptions,
    TransformersOptions,
    options_of,
)
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement

PACKAGES = ("torch", "transformers")
WORKERS: dict[Task, str] = {
    "chat": "models.backends.transformers.worker.text:Writer",
    "caption": "models.backends.transformers.worker.vision:Viewer",
    "transcribe": "models.backends.transformers.worker.whisper:Listener",
}
MAX_THREADS = 4
START_TIMEOUT_S = 590.0
ABOUT_TIMEOUT_S = 60.0

Join = Callable[[TransformersModel, ModelSpec, TransformersOptions, Mapping[str, Any]], object]


class TransformersDriver:
    """Starts one worker process for each model."""

    def __init__(self, context: DriverContext) -> None:
        self._accelerators = context.accelerators
        self._workers = context.workers

    async def available(self, spec: ModelSpec) -> str | None:
        absent = [package for package in PACKAGES if find_spec(package) is None]
        if absent:
            return f"not installed: {', '.join(absent)} (pip install)"
        try:
            options = _checked(spec)
        except MotetError as error:
            return error.message
        return _lacking(options) or why_missing(spec.name, spec.source)

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        if task not in OPTIONS:
            return None
        name = f"transformers/{source}"
        return ModelSpec(name=name, task=task, backend="transformers", source=source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        try:
            options = _checked(spec)
        except MotetError:  # told by `available` and by `load`
            options = ChatOptions()
        return needs(spec, options, self._accelerators)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> TransformersModel:
        options = _checked(spec)
        if reason := _lacking(options):
            raise Invalid(f"{spec.name}: {reason}", code="quantization_unavailable")
        folder = needed(spec.name, spec.source)
        threads = options.threads or min(MAX_THREADS, os.cpu_count() or 1)
        worker = await self._workers.start(
            WORKERS[spec.task],
            name=spec.name,
            options={
                **options.model_dump(mode="json"),
                "source": str(folder),
                "device": need.device,
                "threads": threads,
            },
            start_timeout_s=START_TIMEOUT_S,
        )
        try:
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
        except BaseException:
            await worker.stop(grace_s=0)
            raise
        model = TransformersModel(worker, need, options.timeout_s)
        model.capability = _JOINS[spec.task](model, spec, options, about)
        return model

    async def close(self) -> None:
        pass


def _checked(spec: ModelSpec) -> TransformersOptions:
    if spec.task not in OPTIONS:
        able = ", ".join(OPTIONS)
        raise Invalid(
            f"{spec.name}: this back end is for {able}, not for {spec.task}.",
            code="task_unsupported",
            details={"field": "task"},
        )
    return options_of(spec)


def _lacking(options: TransformersOptions) -> str | None:
    """Why its weights cannot be made smaller here; None where they can, or need not."""
    libraries = QUANTIZERS[options.quantization]
    if not libraries or any(find_spec(library) for library in libraries):
        return None
    either = " or ".join(libraries)
    return f"options.quantization: {options.quantization} takes {either} (pip install)."


def _chat(
    model: TransformersModel,
    spec: ModelSpec,
    options: TransformersOptions,
    about: Mapping[str, Any],
) -> object:
    from models.backends.transformers.chat import TransformersChat  # LangChain: 0.3 s, 40 MB

    return TransformersChat(model, spec.name, cast(ChatOptions, options), about)


def _caption(
    model: TransformersModel,
    spec: ModelSpec,
    options: TransformersOptions,
    about: Mapping[str, Any],
) -> object:
    from models.backends.transformers.caption import TransformersCaption

    return TransformersCaption(model, spec.name, cast(CaptionOptions, options), about)


def _transcribe(
    model: TransformersModel,
    spec: ModelSpec,
    options: TransformersOptions,
    about: Mapping[str, Any],
) -> object:
    from models.backends.transformers.transcribe import TransformersTranscribe

    return TransformersTranscribe(model, spec.name, cast(TranscribeOptions, options), about)


_JOINS: dict[Task, Join] = {"chat": _chat, "caption": _caption, "transcribe": _transcribe}
