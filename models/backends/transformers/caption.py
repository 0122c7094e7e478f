"""A model that looks at pictures, as `Caption`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from config.errors import Invalid
from models.backends.common.batches import readable
from models.backends.common.worker_model import SerialWorkerModel
from models.backends.transformers.options import TransformersCaptionOptions
from models.capabilities import CaptionRequest

PROMPT_CHARACTERS = 20_000


class TransformersCaption:
    """Raises `Invalid` ("image_missing", "too_many_images") before the worker is asked."""

    def __init__(
        self,
        model: SerialWorkerModel,
        name: str,
        options: TransformersCaptionOptions,
        about: Mapping[str, Any],
    ) -> None:
        self._model = model
        self._name = name
        self._most = options.max_images or int(about["max_images"])

    async def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        if not request.images:
            raise Invalid("There is no picture to look at.", code="image_missing")
        if len(request.images) > self._most:
            raise Invalid(
                f"'{self._name}' looks at {self._most} at once, not at {len(request.images)}.",
                code="too_many_images",
            )
        header = {
            "sizes": [len(image) for image in request.images],
            "prompt": readable([request.prompt], PROMPT_CHARACTERS)[0],
            "max_tokens": request.max_tokens,
        }
        stream = self._model.ask("caption", header, b"".join(request.images))
        async with aclosing(stream) as replies:
            async for reply in replies:
                if text := reply.header.get("text"):
                    yield text
