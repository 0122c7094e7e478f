"""Vectors by an embedding model of Ollama."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import MotetError
from models.backends.common.batches import readable
from models.backends.common.vectors import unit_vectors, without_parts
from models.backends.ollama import errors
from models.backends.ollama.api import FOR_EVER, OllamaApi
from models.backends.ollama.lost import OnLost
from models.capabilities import Embedded, Vectors

BATCH_TEXTS = 32
TOKEN_CHARACTERS = 16  # no token is longer on average: what is beyond is never read


class OllamaEmbed:
    """Asks `/api/embed`. Get one from `opened`."""

    def __init__(
        self,
        api: OllamaApi,
        model: str,
        options: Mapping[str, Any],
        *,
        digest: str,
        wanted_dimensions: int | None,
        silence_s: float,
        on_lost: OnLost,
    ) -> None:
        self._api = api
        self._model = model
        self._options = dict(options)
        self._wanted = wanted_dimensions
        self._silence_s = silence_s
        self._on_lost = on_lost
        self._read = options.get("num_ctx", 0)
        self.dimensions = 0
        # The weights, what is read of a text, and what is kept of a vector.
        self.fingerprint = f"ollama:{digest}:{self._read}:{wanted_dimensions or 'all'}"

    def fix(self, options: Mapping[str, Any]) -> None:
        self._options.update(options)

    async def aclose(self) -> None:
        """Its connections are the driver's."""

    async def open(self) -> None:
        """Learn how long its vectors are, by making one."""
        (row,) = await self._batch(["dimensions"])
        self.dimensions = len(row)

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        read = readable(texts, self._read * TOKEN_CHARACTERS)
        rows: list[list[float]] = []
        for start in range(0, len(read), BATCH_TEXTS):
            rows += await self._batch(read[start : start + BATCH_TEXTS])
        return unit_vectors(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        return without_parts(await self.embed(texts), parts)

    async def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            return await self._api.embed(self._body(), texts, self._silence_s)
        except MotetError as error:
            if error.code == "context_overflow" and max(map(len, texts)) > 1:
                return await self._shortened(texts)
            if errors.tells_of_loss(error):
                self._on_lost(error.message)
            raise

    async def _shortened(self, texts: Sequence[str]) -> list[list[float]]:
        """Some text is too long, and this server does not cut it: find it, and cut it."""
        if len(texts) == 1:
            return await self._batch([texts[0][: (len(texts[0]) + 1) // 2]])
        half = len(texts) // 2
        return [*await self._batch(texts[:half]), *await self._batch(texts[half:])]

    def _body(self) -> dict[str, Any]:
        body = {"model": self._model, "keep_alive": FOR_EVER, "options": self._options}
        return {**body, "dimensions": self._wanted} if self._wanted else body
