"""Captions by a vision model of Ollama."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from config.errors import MotetError
from models.backends.common.prompts import DESCRIBE, check_pictures
from models.backends.ollama import errors
from models.backends.ollama.api import FOR_EVER, OllamaApi
from models.backends.ollama.connection import OnLost
from models.capabilities import CaptionRequest


class OllamaCaption:
    """Streams from `/api/chat`; closing the stream stops the model."""

    def __init__(
        self,
        api: OllamaApi,
        name: str,
        model: str,
        options: Mapping[str, Any],
        *,
        silence_s: float,
        thinks: bool,
        on_lost: OnLost,
    ) -> None:
        self._api = api
        self._name = name
        self._model = model
        self._options = dict(options)
        self._silence_s = silence_s
        self._thinks = thinks
        self._on_lost = on_lost

    def fix(self, options: Mapping[str, Any]) -> None:
        self._options.update(options)

    async def aclose(self) -> None:
        """Do nothing: its connections are the driver's."""

    async def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        check_pictures(request.images)
        ended = False
        try:
            lines = self._api.lines(
                "/api/chat", self._body(request), self._silence_s, called=self._name
            )
            async with aclosing(lines):
                async for line in lines:
                    ended = ended or bool(line.get("done"))
                    if text := (line.get("message") or {}).get("content"):
                        yield text
        except MotetError as error:
            if errors.tells_of_loss(error):
                self._on_lost(error.message)
            raise
        if not ended:
            raise errors.cut_short(self._name)

    def _body(self, request: CaptionRequest) -> dict[str, Any]:
        message = {
            "role": "user",
            "content": request.prompt or DESCRIBE,
            "images": [b64encode(image).decode() for image in request.images],
        }
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [message],
            "options": {**self._options, "num_predict": request.max_tokens},
            "keep_alive": FOR_EVER,
        }
        # What it thinks would come out of `max_tokens`, and often use them up.
        return {**body, "think": False} if self._thinks else body
