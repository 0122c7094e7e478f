"""Captions by a model that sees, on any server that speaks OpenAI's protocol."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import Any

from models.backends.common.prompts import DESCRIBE, check_pictures
from models.backends.common.sampling import dump_sampling, for_openai
from models.backends.openai.client import Endpoint
from models.backends.openai.options import OpenAICaptionOptions
from models.capabilities import CaptionRequest

PNG = b"\x89PNG"


class OpenAICaption:
    """Streams from `/chat/completions`; closing the stream stops the model."""

    def __init__(self, endpoint: Endpoint, options: OpenAICaptionOptions) -> None:
        self._endpoint = endpoint
        self._options = options

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        check_pictures(request.images)
        ended = False
        async with self._endpoint.translated():
            stream = await self._endpoint.client.chat.completions.create(
                model=self._endpoint.model,
                messages=[{"role": "user", "content": self._content(request)}],
                stream=True,
                **self._sampling(request),
            )
            async with stream:
                async for chunk in stream:
                    for choice in chunk.choices[:1]:
                        ended = ended or bool(choice.finish_reason)
                        if text := choice.delta.content:
                            yield text
        # Ollama's /v1 hides that a model died: the stream just ends.
        if not ended:
            raise self._endpoint.translate.cut_short()

    def _content(self, request: CaptionRequest) -> Any:
        detail = {"detail": self._options.detail} if self._options.detail else {}
        pictures = [
            {"type": "image_url", "image_url": {"url": data_url(image), **detail}}
            for image in request.images
        ]
        return [{"type": "text", "text": request.prompt or DESCRIBE}, *pictures]

    def _sampling(self, request: CaptionRequest) -> dict[str, Any]:
        sampling = {**dump_sampling(self._options), "max_tokens": request.max_tokens}
        return for_openai({**sampling, **self._options.extra})


def data_url(image: bytes) -> str:
    """Write the picture, PNG or JPEG, as a URL of itself."""
    kind = "png" if image.startswith(PNG) else "jpeg"
    return f"data:image/{kind};base64,{b64encode(image).decode()}"
