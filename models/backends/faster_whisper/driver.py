"""Whisper models that CTranslate2 runs, each in a worker: several times as fast on a CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from models.backends.common.base_driver import (
    ABOUT_TIMEOUT_S,
    LOAD_TIMEOUT_S,
    BaseDriver,
    check_task,
)
from models.backends.common.formats import why_foreign
from models.backends.common.sources import folder_of, folder_unless, why_no_folder
from models.backends.common.torch_options import build_worker_options
from models.backends.common.worker_model import SerialWorkerModel, stop_on_failure
from models.backends.common.worker_transcribe import WorkerTranscribe
from models.backends.faster_whisper.options import FasterWhisperOptions
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

WORKER = "models.backends.faster_whisper.worker:FasterWhisperHandler"
WEIGHTS = "model.bin"
FILES = (WEIGHTS, "config.json", "tokenizer.json")
LIBRARIES_BYTES = 200_000_000
CONTEXT_BYTES = 500_000_000
UNKNOWN_BYTES = 500_000_000
"""What weights are taken to be that are not on this machine."""
WORKING_SHARE = 1.0
"""Of the weights: what decoding holds beside them, with several candidates at once."""


class FasterWhisperDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "faster_whisper"
    packages = ("faster_whisper",)
    how_to_install = "pip install 'motet[whisper]'"
    looks_at_files = True
    named_tasks = ("transcribe",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        _check(spec)
        if not spec.source:
            return "it has no `source`: name a folder with the model, or a model of the Hub."
        folder = folder_of(spec.source)
        return _find_fault(folder) if folder else why_no_folder(spec.name, spec.source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        folder = folder_of(spec.source)
        weights_bytes = _count_weights(folder) if folder else UNKNOWN_BYTES
        needed_bytes = int(weights_bytes * (1 + WORKING_SHARE))
        # Its libraries for GPUs are not those of PyTorch: who has them says so by `device`.
        on_gpu = spec.device.startswith("cuda")
        return list_placements(
            spec,
            self._context.accelerators if on_gpu else (),
            device_bytes=spec.memory_bytes or needed_bytes + CONTEXT_BYTES,
            host_bytes=LIBRARIES_BYTES,
            cpu_bytes=spec.memory_bytes or needed_bytes + LIBRARIES_BYTES,
        )

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> SerialWorkerModel:
        options = _check(spec)
        reason = await asyncio.to_thread(self.find_problem, spec)
        folder = folder_unless(reason, spec.name, spec.source)
        worker = await self._context.workers.start(
            WORKER,
            name=spec.name,
            options=build_worker_options(options, folder, need.device),
            start_timeout_s=LOAD_TIMEOUT_S,
        )
        async with stop_on_failure(worker):
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
        model = SerialWorkerModel(worker, need, options.timeout_s)
        model.capability = WorkerTranscribe(model, spec.name, options, about)
        return model


def _check(spec: ModelSpec) -> FasterWhisperOptions:
    check_task(spec, ("transcribe",))
    return FasterWhisperOptions.of(spec.name, spec.options)


def _find_fault(folder: Path) -> str | None:
    """Tell why a folder holds no model of this back end; None when it does."""
    absent = next((name for name in FILES if not (folder / name).is_file()), None)
    if absent is None:
        return None
    return why_foreign(folder, (FasterWhisperDriver.backend,)) or (
        f"{folder} lacks {absent}: a Whisper model for CTranslate2 has {', '.join(FILES)}."
    )


def _count_weights(folder: Path) -> int:
    try:
        return (folder / WEIGHTS).stat().st_size
    except OSError:
        return UNKNOWN_BYTES
