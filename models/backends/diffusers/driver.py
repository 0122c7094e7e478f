"""Pipelines of Diffusers, from a folder or the Hugging Face Hub, each in a worker."""

from __future__ import annotations

from collections.abc import Sequence

from models.backends.common.base_driver import (
    ABOUT_TIMEOUT_S,
    LOAD_TIMEOUT_S,
    BaseDriver,
    check_task,
)
from models.backends.common.torch_options import (
    build_worker_options,
    check_quantizer,
    find_missing_quantizer,
)
from models.backends.common.worker_model import SerialWorkerModel, stop_on_failure
from models.backends.diffusers.files import require_folder, variant, why_missing
from models.backends.diffusers.image import DiffusersImage
from models.backends.diffusers.needs import needs, offload
from models.backends.diffusers.options import DiffusersOptions
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.scheduling.requirement import MemoryRequirement

WORKER = "models.backends.diffusers.worker:DiffusersHandler"


class DiffusersDriver(BaseDriver):
    """Starts one worker process for each model."""

    backend = "diffusers"
    packages = ("torch", "diffusers", "transformers", "accelerate")
    looks_at_files = True
    named_tasks = ("image",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        return find_missing_quantizer(_check(spec)) or why_missing(
            spec.name, spec.source, allow_pickles=self.allow_pickles
        )

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return needs(spec, _check(spec), self._context.accelerators)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> SerialWorkerModel:
        options = _check(spec)
        check_quantizer(spec.name, options)
        folder = require_folder(spec.name, spec.source, allow_pickles=self.allow_pickles)
        worker = await self._context.workers.start(
            WORKER,
            name=spec.name,
            options={
                **build_worker_options(options, folder, need.device),
                "variant": variant(folder),
                "offload": offload(spec, options, need.device, self._context.accelerators),
            },
            start_timeout_s=LOAD_TIMEOUT_S,
        )
        async with stop_on_failure(worker):
            about = (await worker.call("about", timeout_s=ABOUT_TIMEOUT_S)).header
        model = SerialWorkerModel(worker, need, options.timeout_s)
        model.capability = DiffusersImage(model, about)
        return model


def _check(spec: ModelSpec) -> DiffusersOptions:
    check_task(spec, ("image",))
    return DiffusersOptions.of(spec.name, spec.options)
