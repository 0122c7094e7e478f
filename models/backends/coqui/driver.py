"""coqui-tts in a worker: VITS, XTTS and their like, from a folder or by a released name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.backends.common.base_driver import (
    ABOUT_TIMEOUT_S,
    LOAD_TIMEOUT_S,
    BaseDriver,
)
from models.backends.common.sources import missing_model
from models.backends.common.torch_options import count_threads
from models.backends.common.worker_model import stop_on_failure
from models.backends.coqui.model import CoquiModel
from models.backends.coqui.options import CoquiOptions
from models.backends.coqui.pull import pull
from models.backends.coqui.sources import find_files, is_released, why_missing
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

WORKER = "models.backends.coqui.worker:CoquiHandler"
RELEASED_NAME = re.compile(r"\w+(/\w[\w-]{0,95}){3}", re.ASCII)
LIBRARIES_BYTES = 450_000_000
CONTEXT_BYTES = 500_000_000
WORKING_BYTES = 200_000_000
COPIES = 2
"""On the way from the disk the weights are in RAM twice."""
UNKNOWN_BYTES = 1_000_000_000


class CoquiDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "coqui"
    tasks = ("speech",)
    packages = ("torch", "TTS")
    how_to_install = "pip install -e '.[voice]'"
    looks_at_files = True
    named_tasks = ("speech",)

    def is_public_name(self, source: str) -> bool:
        """Tell whether a source names a released model, or one of the Hub, by its form alone."""
        released = is_released(source) and RELEASED_NAME.fullmatch(source) is not None
        return released or super().is_public_name(source)

    def find_problem(self, spec: ModelSpec) -> str | None:
        return why_missing(spec.name, spec.source, CoquiOptions.of(spec.name, spec.options))

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        files = find_files(spec.source)
        weights = files.stored_bytes if files else UNKNOWN_BYTES
        loading = COPIES * weights + LIBRARIES_BYTES
        return list_placements(
            spec,
            self._context.accelerators,
            device_bytes=spec.memory_bytes or weights + WORKING_BYTES + CONTEXT_BYTES,
            host_bytes=loading,
            cpu_bytes=spec.memory_bytes or loading + WORKING_BYTES,
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> CoquiModel:
        options = CoquiOptions.of(spec.name, spec.options)
        if reason := why_missing(spec.name, spec.source, options):
            raise missing_model(spec.name, spec.source, reason)
        worker = await self._context.workers.start(
            WORKER,
            name=spec.name,
            options={**_worker_options(spec, options), "device": need.device},
            start_timeout_s=LOAD_TIMEOUT_S,
        )
        async with stop_on_failure(worker):
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
            return CoquiModel(worker, need, options, about)

    async def pull(self, source: str, progress: Progress) -> None:
        """Pull a released model with its vocoder, or a repository, as `Puller.pull` does."""
        await pull(source, progress, self._context.options.get("digests") or {})


def _worker_options(spec: ModelSpec, options: CoquiOptions) -> dict[str, object]:
    files = find_files(spec.source)
    vocoder = find_files(options.vocoder) if options.vocoder else None
    return {
        "released": spec.source if is_released(spec.source) else None,
        "checkpoint": str(files.checkpoint) if files else None,
        "config": str(files.config) if files else None,
        "vocoder": [str(vocoder.checkpoint), str(vocoder.config)] if vocoder else None,
        "threads": count_threads(options.threads),
        "memory_fraction": options.memory_fraction,
        "license_agreed": options.license_agreed,
    }
