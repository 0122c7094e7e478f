"""A loaded pipeline: its worker, asked by one caller at a time, as an `Image`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from config.errors import Invalid
from models.backends.common.sources import folder_of
from models.backends.common.worker_model import WorkerModel
from models.capabilities import ImageAbilities, ImageRequest, ImageStep, Picture
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import Reply, WorkerProcess

FIELDS = (
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "steps",
    "guidance",
    "seed",
    "count",
    "scheduler",
    "strength",
    "preview_every",
)


class DiffusersModel(WorkerModel):
    """`capability` is set by the driver."""

    capability: DiffusersImage

    def __init__(self, worker: WorkerProcess, need: MemoryRequirement, silence_s: float) -> None:
        super().__init__(worker, need)
        self._silence_s = silence_s
        self._turn = asyncio.Lock()

    async def ask(
        self, method: str, header: Mapping[str, Any], body: bytes = b""
    ) -> AsyncGenerator[Reply, None]:
        """The worker's pieces and its answer.

        Others wait for their turn here, not in the worker: there their wait would count as its
        silence. Close this to give up; the worker then stops with its present step.
        """
        async with self._turn:
            stream = self._stream(method, header, body, silence_s=self._silence_s)
            async with aclosing(stream) as replies:
                async for reply in replies:
                    yield reply


class DiffusersImage:
    """The `Image` of a loaded pipeline. `about` is what its worker told of it."""

    def __init__(self, model: DiffusersModel, about: Mapping[str, Any]) -> None:
        self._model = model
        self._abilities = ImageAbilities(
            modes=tuple(about["modes"]),
            width=about["width"],
            height=about["height"],
            schedulers=tuple(about["schedulers"]),
            max_count=about["max_count"],
        )

    @property
    def abilities(self) -> ImageAbilities:
        return self._abilities

    async def draw(self, request: ImageRequest) -> AsyncGenerator[ImageStep | Picture, None]:
        image, mask = request.image or b"", request.mask or b""
        header = {
            **{name: getattr(request, name) for name in FIELDS},
            "image_bytes": len(image),
            "mask_bytes": len(mask),
            "loras": [(_lora(source), weight) for source, weight in request.loras],
        }
        async with aclosing(self._model.ask("draw", header, image + mask)) as replies:
            async for reply in replies:
                if not reply.last:
                    yield _piece(reply, request)


def _piece(reply: Reply, request: ImageRequest) -> ImageStep | Picture:
    told = reply.header
    if told["kind"] == "step":
        return ImageStep(told["step"], told["total"], reply.body or None)
    settings = told["settings"]
    if request.loras:  # by the names they were asked for with: paths are nobody's business
        settings = {**settings, "loras": [list(lora) for lora in request.loras]}
    return Picture(reply.body, told["width"], told["height"], told["seed"], settings)


def _lora(source: str) -> str:
    """The file or folder of it on this machine."""
    folder = folder_of(source)
    if folder is None and not source.endswith(".safetensors"):
        raise Invalid(
            f"loras: '{source}' is not on this machine. Give a folder, a .safetensors file, or a "
            f"model of the Hub that was pulled (`hf download {source}`).",
            code="lora_missing",
            details={"field": "loras"},
        )
    return str(folder or source)
