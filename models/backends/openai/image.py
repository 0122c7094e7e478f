"""Pictures by any server that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
import binascii
import struct
from base64 import b64decode
from collections.abc import AsyncGenerator
from typing import Any

from config.errors import Invalid
from models.backends.openai.client import Endpoint
from models.backends.openai.options import OpenAIImageOptions
from models.capabilities import ImageAbilities, ImageRequest, ImageStep, Picture

PNG = b"\x89PNG\r\n\x1a\n"
MAX_COUNT = 10
MIN_SIZE = 16
BEYOND = ("steps", "guidance", "negative_prompt", "strength")


class OpenAIImage:
    """Asks `/images/generations` and `/images/edits`; there are no steps to be told of."""

    def __init__(self, endpoint: Endpoint, options: OpenAIImageOptions) -> None:
        self._endpoint = endpoint
        self._options = options

    @property
    def abilities(self) -> ImageAbilities:
        modes: Any = ("generate", "edit", "inpaint") if self._options.edits else ("generate",)
        return ImageAbilities(modes, self._options.width, self._options.height, max_count=MAX_COUNT)

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def draw(self, request: ImageRequest) -> AsyncGenerator[ImageStep | Picture, None]:
        self._check(request)
        async with self._endpoint.translated():
            answer = await self._ask(request)
        settings = {"model": self._endpoint.model, "seed_sent": self._sends_seed(request)}
        for number, picture in enumerate(answer.data or ()):
            data = self._decoded(picture.b64_json)
            width, height = struct.unpack(">II", data[16:24])
            seed = request.seed + number if request.seed is not None else 0
            yield Picture(data, width, height, seed, settings)

    async def _ask(self, request: ImageRequest) -> Any:
        sent = self._fields(request)
        images = self._endpoint.client.images
        if request.image is None:
            return await images.generate(**sent)
        files: dict[str, Any] = {"image": ("image.png", request.image)}
        if request.mask is not None:
            files["mask"] = ("mask.png", await self._mask(request.mask))
        return await images.edit(**files, **sent)

    async def _mask(self, mask: bytes) -> bytes:
        try:
            return await asyncio.to_thread(_invert_mask, mask)
        except OSError as error:
            raise self._unable("mask", "it is no picture that can be read") from error

    def _fields(self, request: ImageRequest) -> dict[str, Any]:
        width = request.width or self._options.width
        height = request.height or self._options.height
        values = ((name, getattr(request, name)) for name in self._options.sends)
        beyond: dict[str, Any] = {name: value for name, value in values if value not in ("", None)}
        fields = {
            "model": self._endpoint.model,
            "prompt": request.prompt,
            "n": request.count,
            "size": f"{width}x{height}",
            "extra_body": {**beyond, **self._options.extra},
        }
        if self._options.response_format:
            fields["response_format"] = "b64_json"
        return fields

    def _check(self, request: ImageRequest) -> None:
        if request.mode not in self.abilities.modes:
            raise self._unable("image", f"it cannot {request.mode}")
        if request.count > MAX_COUNT:
            raise self._unable("count", f"it draws at most {MAX_COUNT} at once")
        if request.mask is not None and request.image is None:
            raise self._unable("mask", "there is no picture that it belongs to")
        for field in ("width", "height"):
            if (size := getattr(request, field)) is not None and size < MIN_SIZE:
                raise self._unable(field, f"must be at least {MIN_SIZE} pixels")
        for field in ("scheduler", "loras"):
            if getattr(request, field):
                raise self._unable(field, "this back end has none")
        for field in BEYOND:
            if getattr(request, field) not in ("", None) and field not in self._options.sends:
                raise self._unable(field, "name it in the model's option `sends` if it knows it")

    def _unable(self, field: str, why: str) -> Invalid:
        return Invalid(
            f"{field}: '{self._endpoint.name}': {why}.",
            code="capability_unsupported",
            details={"field": field},
        )

    def _sends_seed(self, request: ImageRequest) -> bool:
        return request.seed is not None and "seed" in self._options.sends

    def _decoded(self, text: str | None) -> bytes:
        try:
            data = b64decode(text or "", validate=True)
        except binascii.Error:
            data = b""
        if not data.startswith(PNG):
            raise self._endpoint.translate.unreadable("a picture is not PNG in base64")
        return data


def _invert_mask(mask: bytes) -> bytes:
    """Make the mask of an edit; blocks, the first time for the import of Pillow too."""
    from models.backends.openai.mask import transparent_where_white

    return transparent_where_white(mask)
