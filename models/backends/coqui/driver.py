"""coqui-tts in a worker: VITS, XTTS and their like, from a folder or by a released name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec

from config.errors import MotetError, Unavailable
from models.backends.coqui.model import CoquiModel
from models.backends.coqui.options import CoquiOptions
from models.backends.coqui.pull import pull
from models.backends.coqui.sources import files_of, is_released, why_missing
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

WORKER = "models.backends.coqui.worker:Speaker"
PACKAGES = ("torch", "TTS")
LIBRARIES_BYTES = 450_000_000
CONTEXT_BYTES = 500_000_000
WORKING_BYTES = 200_000_000
COPIES = 2  # on the way from the disk the weights are in RAM twice
UNKNOWN_BYTES = 1_000_000_000
MAX_THREADS = 4
START_TIMEOUT_S = 590.0
ABOUT_TIMEOUT_S = 60.0


class CoquiDriver:
    """Starts one worker process for each model."""

    def __init__(self, context: DriverContext) -> None:
        self._accelerators = context.accelerators
        self._workers = context.workers

    async def available(self, spec: ModelSpec) -> str | None:
        if absent := [package for package in PACKAGES if find_spec(package) is None]:
            return f"not installed: {', '.join(absent)} (pip install -e '.[voice]')"
        try:
            options = CoquiOptions.of(spec.name, spec.options)
        except MotetError as error:
            return error.message
        return why_missing(spec.name, spec.source, options)

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        if task != "speech":
            return None
        return ModelSpec(name=f"coqui/{source}", task=task, backend="coqui", source=source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        found = files_of(spec.source)
        weights = found.stored_bytes if found else UNKNOWN_BYTES
        loading = COPIES * weights + LIBRARIES_BYTES
        return list_placements(
            spec,
            self._accelerators,
            device_bytes=spec.memory_bytes or weights + WORKING_BYTES + CONTEXT_BYTES,
            host_bytes=loading,
            cpu_bytes=spec.memory_bytes or loading + WORKING_BYTES,
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> CoquiModel:
        options = CoquiOptions.of(spec.name, spec.options)
        if reason := why_missing(spec.name, spec.source, options):
            raise Unavailable(
                f"The model '{spec.name}' cannot be loaded: {reason}",
                code="model_missing",
                details={"model": spec.name, "source": spec.source},
            )
        worker = await self._workers.start(
            WORKER,
            name=spec.name,
            options={**_what(spec, options), "device": need.device},
            start_timeout_s=START_TIMEOUT_S,
        )
        try:
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
            return CoquiModel(worker, need, options, about)
        except BaseException:
            await worker.stop(grace_s=0)
            raise

    async def pull(self, source: str, progress: Progress) -> None:
        await pull(source, progress)

    async def close(self) -> None:
        pass


def _what(spec: ModelSpec, options: CoquiOptions) -> dict[str, object]:
    """What the worker has to know."""
    found = files_of(spec.source)
    vocoder = files_of(options.vocoder) if options.vocoder else None
    return {
        "released": spec.source if is_released(spec.source) else None,
        "checkpoint": str(found.checkpoint) if found else None,
        "config": str(found.config) if found else None,
        "vocoder": [str(vocoder.checkpoint), str(vocoder.config)] if vocoder else None,
        "threads": options.threads or min(MAX_THREADS, os.cpu_count() or 1),
        "memory_fraction": options.memory_fraction,
        "license_agreed": options.license_agreed,
    }
