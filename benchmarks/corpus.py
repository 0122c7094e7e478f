"""Texts of any number out of real words, and vectors for them without waiting for a model."""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from models.capabilities import Embed, Embedded, Parts, Vectors
from models.manager import Models

PASSAGE_WORDS = 180
PASSAGES_EACH = 40
SENTENCE_WORDS = 18


class Corpus:
    """Documents that are put together from the documentation inside of Python's own library."""

    def __init__(self) -> None:
        self._random = Random(1)
        root = Path(sysconfig.get_path("stdlib"))
        texts = [path.read_text(errors="ignore") for path in sorted(root.glob("*.py"))]
        found = [text for each in texts for text in re.findall(r'"""(.+?)"""', each, re.S)]
        self._words = re.findall(r"[A-Za-z][\w.-]+", " ".join(found))

    def documents(self, passages: int) -> Iterator[str]:
        """Documents of so many passages together, paragraph by paragraph."""
        for first in range(0, passages, PASSAGES_EACH):
            count = min(PASSAGES_EACH, passages - first)
            yield "\n\n".join(self._paragraph() for _ in range(count))

    def question(self) -> str:
        return f"How does {self._run(7)} work?"

    def _paragraph(self) -> str:
        sentences = PASSAGE_WORDS // SENTENCE_WORDS
        return " ".join(f"{self._run(SENTENCE_WORDS).capitalize()}." for _ in range(sentences))

    def _run(self, count: int) -> str:
        first = self._random.randrange(len(self._words) - count)
        return " ".join(self._words[first : first + count]).rstrip(".")


def vector(text: str, dimensions: int) -> bytes:
    """A unit vector that a text always gets."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    row = np.random.default_rng(seed).standard_normal(dimensions, dtype=np.float32)
    return (row / np.linalg.norm(row)).astype("<f4").tobytes()


@dataclass(frozen=True, slots=True)
class QuickEmbed:
    """Questions are embedded by the real model, passages get vectors that cost nothing: what a
    search costs depends on how many they are, not on what they say."""

    real: Embed

    @property
    def fingerprint(self) -> str:
        return self.real.fingerprint

    @property
    def dimensions(self) -> int:
        return self.real.dimensions

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        if urgent:
            return await self.real.embed(texts, urgent=True)
        return Vectors.joined(self.dimensions, [vector(text, self.dimensions) for text in texts])

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        made = [self._parts(text, len(spans)) for text, spans in zip(texts, parts, strict=True)]
        return Embedded(await self.embed(texts), made)

    def _parts(self, text: str, count: int) -> Parts:
        rows = np.random.default_rng(len(text)).integers(-12, 13, (count, self.dimensions))
        return Parts([1.0] * count, rows.astype(np.int8).tobytes())


@dataclass(frozen=True, slots=True)
class Lent:
    embed: Embed
    model: Any


@dataclass(frozen=True, slots=True)
class QuickModels:
    """`models`, but with `QuickEmbed`."""

    models: Models

    @asynccontextmanager
    async def lease(self, name: str, task: Any, *, tenant: str) -> AsyncIterator[Any]:
        async with self.models.lease(name, task, tenant=tenant) as lease:
            yield Lent(QuickEmbed(lease.embed), lease.model)
