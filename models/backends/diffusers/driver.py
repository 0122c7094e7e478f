"""Pipelines of Diffusers, from a folder or the Hugging Face Hub, each in a worker."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec

from config.errors import Invalid, MotetError
from models.backends.diffusers.files import needed, variant, why_missing
from models.backends.diffusers.image import DiffusersImage, DiffusersModel
from models.backends.diffusers.needs import needs, offload
from models.backends.diffusers.options import QUANTIZERS, DiffusersOptions
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement

WORKER = "models.backends.diffusers.worker:Painter"
PACKAGES = ("torch", "diffusers", "transformers", "accelerate")
MAX_THREADS = 4
# The manager's own bound is 600 s.
START_TIMEOUT_S = 590.0
ABOUT_TIMEOUT_S = 60.0


class DiffusersDriver:
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
        if task != "image":
            return None
        name = f"diffusers/{source}"
        return ModelSpec(name=name, task=task, backend="diffusers", source=source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return needs(spec, _checked(spec), self._accelerators)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> DiffusersModel:
        options = _checked(spec)
        if reason := _lacking(options):
            raise Invalid(f"{spec.name}: {reason}", code="quantization_unavailable")
        folder = needed(spec.name, spec.source)
        threads = options.threads or min(MAX_THREADS, os.cpu_count() or 1)
        worker = await self._workers.start(
            WORKER,
            name=spec.name,
            options={
                **options.model_dump(mode="json"),
                "source": str(folder),
                "variant": variant(folder),
                "device": need.device,
                "threads": threads,
                "offload": offload(spec, options, need.device, self._accelerators),
            },
            start_timeout_s=START_TIMEOUT_S,
        )
        try:
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
        except BaseException:
            await worker.stop(grace_s=0)
            raise
        model = DiffusersModel(worker, need, options.timeout_s)
        model.capability = DiffusersImage(model, about)
        return model

    async def close(self) -> None:
        pass


def _checked(spec: ModelSpec) -> DiffusersOptions:
    if spec.task != "image":
        raise Invalid(
            f"{spec.name}: this back end is for image, not for {spec.task}.",
            code="task_unsupported",
            details={"field": "task"},
        )
    return DiffusersOptions.of(spec.name, spec.options)


def _lacking(options: DiffusersOptions) -> str | None:
    """Why its weights cannot be made smaller here; None where they can, or need not."""
    libraries = QUANTIZERS[options.quantization]
    if not libraries or any(find_spec(library) for library in libraries):
        return None
    either = " or ".join(libraries)
    return f"options.quantization: {options.quantization} takes {either} (pip install)."
