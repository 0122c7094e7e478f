"""The embedded default for pictures: what can be said of one without understanding it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from config.errors import Invalid
from models.backends.common.base_driver import BaseDriver, estimate_in_ram
from models.backends.common.options import Options
from models.backends.common.worker_model import WorkerModel
from models.capabilities import CaptionRequest
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.fallbacks import NeedsModel
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

WORKER = "models.backends.describer.worker:DescriberHandler"
ESTIMATE_BYTES = 120_000_000
SILENCE_S = 60.0
START_TIMEOUT_S = 30.0


class DescriberDriver(BaseDriver):
    """Starts one small worker: a broken picture crashes that, and nothing else."""

    backend = "describer"
    tasks = ("caption",)
    packages = ("PIL",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        Options.of(spec.name, spec.options)
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return estimate_in_ram(spec, ESTIMATE_BYTES)

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> DescriberModel:
        worker = await WorkerProcess.start(
            WORKER, name=spec.name, options={}, threads=1, start_timeout_s=START_TIMEOUT_S
        )
        return DescriberModel(worker, need)


class DescriberModel(WorkerModel):
    """The loaded model, which is its own `Caption`: one or two sentences for each picture.

    It answers no questions: `Unavailable` ("needs_vision_model").
    """

    @property
    def capability(self) -> DescriberModel:
        return self

    async def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        if request.prompt.strip():
            raise needs_vision_model()
        if not request.images:
            raise Invalid("There is no picture to look at.", code="image_missing")
        for number, image in enumerate(request.images, 1):
            stream = self._stream("describe", {}, image, silence_s=SILENCE_S)
            async with aclosing(stream) as replies:
                async for reply in replies:
                    title = f"Picture {number}: " if len(request.images) > 1 else ""
                    gap = "\n" if number < len(request.images) else ""
                    yield title + reply.header["text"] + gap


def needs_vision_model() -> NeedsModel:
    """Return the refusal of the describer: what it cannot do, and how to get a model that can."""
    return NeedsModel(
        "To answer a question about a picture takes a vision model; the embedded describer only "
        "tells sizes and colours.",
        "Install Ollama from ollama.com and run `ollama pull qwen2.5vl:3b`, or declare a vision "
        "model in models.yaml and name it in the role `vision`.",
        code="needs_vision_model",
        hint="ollama pull qwen2.5vl:3b",
    )
