"""Vectors by an embedding model of Ollama."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import MotetError
from models.backends.common.remote_embed import RemoteEmbed
from models.backends.ollama import errors
from models.backends.ollama.api import FOR_EVER, OllamaApi
from models.backends.ollama.connection import OnLost

TOKEN_CHARACTERS = 16  # tokens are shorter on average: what is beyond is never read


class OllamaEmbed(RemoteEmbed):
    """Asks `/api/embed`."""

    def __init__(
        self,
        api: OllamaApi,
        name: str,
        model: str,
        options: Mapping[str, Any],
        *,
        digest: str,
        chosen_dimensions: int | None,
        silence_s: float,
        on_lost: OnLost,
    ) -> None:
        # The weights, what is read of a text, and what is kept of a vector.
        read = options["num_ctx"]
        fingerprint = f"ollama:{digest}:{read}:{chosen_dimensions or 'all'}"
        super().__init__(fingerprint, read * TOKEN_CHARACTERS)
        self._api = api
        self._name = name
        self._model = model
        self._options = dict(options)
        self._dimensions_sent = chosen_dimensions
        self._silence_s = silence_s
        self._on_lost = on_lost

    def fix(self, options: Mapping[str, Any]) -> None:
        self._options.update(options)

    async def aclose(self) -> None:
        """Do nothing: its connections are the driver's."""

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self._model, "keep_alive": FOR_EVER, "options": self._options}
        if self._dimensions_sent:
            body["dimensions"] = self._dimensions_sent
        try:
            return await self._api.embed(body, texts, self._silence_s, called=self._name)
        except MotetError as error:
            if errors.tells_of_loss(error):
                self._on_lost(error.message)
            raise
