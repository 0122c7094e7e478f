"""The embedded default for pictures: what can be said of one without understanding it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.util import find_spec

from config.errors import Invalid, MotetError, Unavailable
from models.backends.common.options import Options
from models.backends.common.worker_model import WorkerModel
from models.capabilities import CaptionRequest
from models.catalog.spec import ModelSpec, Task
from models.devices import RAM
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

WORKER = "models.backends.describer.worker:Describer"
ESTIMATE_BYTES = 120_000_000
SILENCE_S = 60.0
START_TIMEOUT_S = 30.0


class DescriberDriver:
    """Starts one small worker: a broken picture crashes that, and nothing else."""

    def __init__(self, context: DriverContext) -> None:
        pass

    async def available(self, spec: ModelSpec) -> str | None:
        if find_spec("PIL") is None:
            return "not installed: pillow (pip install)"
        try:
            Options.of(spec.name, spec.options)
        except MotetError as error:
            return error.message
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return [
            MemoryRequirement(
                {RAM: ESTIMATE_BYTES if spec.memory_bytes is None else spec.memory_bytes}
            )
        ]

    async def load(self, spec: ModelSpec, need: MemoryRequirement, progress: Progress) -> Describer:
        worker = await WorkerProcess.start(
            WORKER, name=spec.name, options={}, threads=1, start_timeout_s=START_TIMEOUT_S
        )
        return Describer(worker, need)

    async def close(self) -> None:
        pass


class Describer(WorkerModel):
    """The loaded model, which is its own `Caption`: one or two sentences for each picture.

    It answers no questions: `Unavailable` ("needs_vision_model").
    """

    @property
    def capability(self) -> Describer:
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
                    place = f"Picture {number}: " if len(request.images) > 1 else ""
                    gap = "\n" if number < len(request.images) else ""
                    yield place + reply.header["text"] + gap


def needs_vision_model() -> Unavailable:
    """The refusal of the describer: what it cannot do, and how to get a model that can."""
    return Unavailable(
        "To answer a question about a picture takes a vision model, and this machine has none: "
        "the embedded describer only tells sizes and colours. Install Ollama from ollama.com and "
        "run `ollama pull qwen2.5vl:3b`, or declare a vision model in models.yaml and name it in "
        "the role `vision`.",
        code="needs_vision_model",
        details={"hint": "ollama pull qwen2.5vl:3b"},
        permanent=True,
    )
