"""Embedding by another server: texts in batches, cut where they are too long."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import MotetError
from models.backends.common.batches import readable
from models.backends.common.vectors import unit_vectors, without_parts
from models.capabilities import Embedded, Vectors

BATCH_TEXTS = 32


class RemoteEmbed:
    """Base of an `Embed` that asks a server: a subclass says how, in `_ask`. `open` it first."""

    def __init__(self, fingerprint: str, characters: int) -> None:
        """Never send more than `characters` of a text."""
        self.fingerprint = fingerprint
        self.dimensions = 0
        self._characters = characters

    async def open(self) -> None:
        """Learn how long its vectors are, by making one. Call it before anything else."""
        (row,) = await self._ask(["dimensions"])
        self.dimensions = len(row)

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        read = readable(texts, self._characters)
        rows: list[Sequence[float]] = []
        for start in range(0, len(read), BATCH_TEXTS):
            rows += await self._ask_halving(read[start : start + BATCH_TEXTS])
        return unit_vectors(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        return without_parts(await self.embed(texts), parts)

    async def _ask(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Ask for a vector of each. Raises `Invalid` (`context_overflow`) when one is too long."""
        raise NotImplementedError

    async def _ask_halving(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Ask; where the server does not cut a text itself, it gets half of it, and half again."""
        try:
            return list(await self._ask(texts))
        except MotetError as error:
            if error.code != "context_overflow" or max(map(len, texts)) < 2:
                raise
        if len(texts) == 1:
            return await self._ask_halving([texts[0][: len(texts[0]) // 2]])
        half = len(texts) // 2
        return [*await self._ask_halving(texts[:half]), *await self._ask_halving(texts[half:])]
