"""A small embedder for tests: no model, but the real contract of `models.capabilities.Embed`.

A word is a fixed random direction, a text the sum of its words: texts that share words are near
each other, and the same text always gets the same vector.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from config.errors import NotFound
from models.capabilities import Embedded, Parts, Vectors


@dataclass
class HashingEmbedder:
    """`seen` counts texts by content; `gate` holds every bulk call until it is set."""

    fingerprint: str = "hashing-1"
    dimensions: int = 64
    seen: dict[str, int] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    words: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        if self.gate and not urgent:
            self.entered.set()
            await self.gate.wait()
        for text in texts:
            self.seen[text] = self.seen.get(text, 0) + 1
        rows = [self._vector(text) for text in texts]
        return Vectors.joined(self.dimensions, rows)

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        vectors = await self.embed(texts)
        return Embedded(
            vectors, [self._parts(text, spans) for text, spans in zip(texts, parts, strict=True)]
        )

    def _parts(self, text: str, spans: Sequence[tuple[int, int]]) -> Parts:
        rows = [np.frombuffer(self._vector(text[start:end]), "<f4") for start, end in spans]
        data = b"".join(np.round(row * 127).astype(np.int8).tobytes() for row in rows)
        return Parts([1.0] * len(rows), data)

    def _vector(self, text: str) -> bytes:
        total = np.full(self.dimensions, 1e-3)
        for word in re.findall(r"\w+", text.lower()):
            if word not in self.words:
                self.words[word] = self._direction(word)
            total += self.words[word]
        return (total / np.linalg.norm(total)).astype("<f4").tobytes()

    def _direction(self, word: str) -> NDArray[np.float64]:
        key = hashlib.blake2b(f"{self.fingerprint} {word}".encode(), digest_size=8).digest()
        random = np.random.default_rng(int.from_bytes(key, "big"))
        return random.normal(size=self.dimensions)


@dataclass
class LongestFirst:
    """A model that reads query and text together: the longer the text, the better."""

    read: list[str] = field(default_factory=list)

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        self.read = list(texts)
        return [float(len(text)) for text in texts]


@dataclass
class FakeModel:
    name: str


@dataclass
class EmbedLease:
    embed: HashingEmbedder
    rerank: LongestFirst

    @property
    def model(self) -> FakeModel:
        return FakeModel(self.embed.fingerprint)


@dataclass
class Models:
    """`lease` as the model manager offers it: `embed`, other embedders by name, `rerank`."""

    embedder: HashingEmbedder = field(default_factory=HashingEmbedder)
    others: dict[str, HashingEmbedder] = field(default_factory=dict)
    reranker: LongestFirst = field(default_factory=LongestFirst)
    leased: int = 0

    @asynccontextmanager
    async def lease(self, name: str, task: str, *, tenant: str) -> AsyncIterator[EmbedLease]:
        if name != task and name not in self.others:
            raise NotFound(f"There is no model '{name}'.", code="model_not_found")
        self.leased += 1
        try:
            yield EmbedLease(self.others.get(name, self.embedder), self.reranker)
        finally:
            self.leased -= 1
