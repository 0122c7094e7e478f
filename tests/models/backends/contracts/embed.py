"""The contract of `Embed`: derive a test class and give it an `embedder`."""

from __future__ import annotations

import asyncio
import struct
from typing import ClassVar

import pytest

from models.capabilities import Embed, Vectors

TEXTS = ["a red circle", "a tax return of last year", "", "ein Satz auf Deutsch", "a red circle"]


def numbers(vectors: Vectors, row: int) -> tuple[float, ...]:
    return struct.unpack(f"<{vectors.dimensions}f", vectors.row(row))


def dot(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


class EmbedContract:
    """`embedder`, a fixture of the derived class, is a loaded model that embeds."""

    near: ClassVar[float] = 1e-3
    """How exactly the same text gets the same vector, whatever else is in the batch."""

    @pytest.fixture
    def embedder(self) -> Embed:
        raise NotImplementedError

    async def test_it_keeps_the_protocol(self, embedder: Embed) -> None:
        assert isinstance(embedder, Embed)
        assert embedder.dimensions > 0
        assert embedder.fingerprint

    async def test_each_text_has_one_vector_of_length_one_in_order(self, embedder: Embed) -> None:
        vectors = await embedder.embed(TEXTS)
        assert (vectors.count, vectors.dimensions) == (len(TEXTS), embedder.dimensions)
        rows = [numbers(vectors, row) for row in range(len(TEXTS))]
        for row, text in zip(rows, TEXTS, strict=True):
            if text:
                assert dot(row, row) == pytest.approx(1, abs=self.near)
        assert dot(rows[0], rows[4]) == pytest.approx(1, abs=self.near)
        assert dot(rows[0], rows[1]) < 1 - self.near

    async def test_a_text_has_the_same_vector_alone_and_among_others(self, embedder: Embed) -> None:
        together = await embedder.embed(TEXTS)
        alone = await embedder.embed(TEXTS[1:2], urgent=True)
        same = dot(numbers(together, 1), numbers(alone, 0))
        assert same == pytest.approx(1, abs=self.near)

    async def test_no_text_has_no_vector(self, embedder: Embed) -> None:
        assert (await embedder.embed([])).count == 0

    async def test_more_texts_than_a_batch_holds_are_all_embedded(self, embedder: Embed) -> None:
        texts = [f"text number {number}" for number in range(100)]
        assert (await embedder.embed(texts)).count == 100

    async def test_a_text_longer_than_the_model_reads_and_a_broken_one_have_vectors(
        self, embedder: Embed
    ) -> None:
        vectors = await embedder.embed(["word " * 20_000, "half a pair: \ud83d"])
        assert vectors.count == 2

    async def test_parts_come_for_each_text_and_each_span_or_not_at_all(
        self, embedder: Embed
    ) -> None:
        text = "a red circle on a blue ground"
        spans = [(0, 12), (13, len(text))]
        made = await embedder.embed_parts([text, text], [spans, []])
        assert made.vectors.count == 2
        assert [len(part.masses) for part in made.parts] in ([2, 0], [0, 0])
        for part in made.parts:
            assert len(part.data) == len(part.masses) * embedder.dimensions

    async def test_many_at_once_are_all_answered(self, embedder: Embed) -> None:
        answered = await asyncio.gather(*(embedder.embed([text]) for text in TEXTS))
        assert [vectors.count for vectors in answered] == [1] * len(TEXTS)
