"""A loaded pipeline as an `Image`: requests as the worker reads them, and its pieces as steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from config.errors import Invalid
from models.backends.common.sources import folder_of
from models.backends.common.worker_model import SerialWorkerModel
from models.capabilities import ImageAbilities, ImageRequest, ImageStep, Picture
from models.workers.process import Reply

REQUEST_FIELDS = (
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


class DiffusersImage:
    """The `Image` of a loaded pipeline. `about` is what its worker said of it."""

    def __init__(self, model: SerialWorkerModel, about: Mapping[str, Any]) -> None:
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
            **{name: getattr(request, name) for name in REQUEST_FIELDS},
            "image_bytes": len(image),
            "mask_bytes": len(mask),
            "loras": [(_find_lora(source), weight) for source, weight in request.loras],
        }
        async with aclosing(self._model.ask("draw", header, image + mask)) as replies:
            async for reply in replies:
                if not reply.last:
                    yield _parse_piece(reply, request)


def _parse_piece(reply: Reply, request: ImageRequest) -> ImageStep | Picture:
    piece = reply.header
    if piece["kind"] == "step":
        return ImageStep(piece["step"], piece["total"], reply.body or None)
    settings = piece["settings"]
    if request.loras:  # by the names they were asked for with: paths are nobody's business
        settings = {**settings, "loras": [list(lora) for lora in request.loras]}
    return Picture(reply.body, piece["width"], piece["height"], piece["seed"], settings)


def _find_lora(source: str) -> str:
    """Return its file or folder on this machine. Raises `Invalid` (`lora_missing`)."""
    folder = folder_of(source)
    if folder is None and not source.endswith(".safetensors"):
        raise Invalid(
            f"loras: '{source}' is not on this machine. Give a folder, a .safetensors file, or a "
            f"model of the Hub that was pulled (`hf download {source}`).",
            code="lora_missing",
            details={"field": "loras"},
        )
    return str(folder or source)
