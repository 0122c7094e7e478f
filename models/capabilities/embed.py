"""Embedding: texts as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

FLOAT_BYTES = 4
"""Vectors cross every border as little-endian float32."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """L2-normalised rows of `dimensions` little-endian float32 numbers, one for each text."""

    count: int
    dimensions: int
    data: bytes

    def row(self, number: int) -> bytes:
        """Return the bytes of one vector. Raises `IndexError`."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        width = self.dimensions * FLOAT_BYTES
        return self.data[number * width : (number + 1) * width]

    @classmethod
    def joined(cls, dimensions: int, rows: Sequence[bytes]) -> Vectors:
        """Join single rows of `dimensions` numbers each."""
        return cls(len(rows), dimensions, b"".join(rows))


@dataclass(frozen=True, slots=True)
class Parts:
    """Vectors of parts of one text, made of its token states, and so in the light of all of it.

    `data` has a row of `dimensions` signed bytes for each part: its unit vector times 127. A mass
    is the norm of the sum of the part's token states: the vector of neighbouring parts together
    is the normalised sum of mass times vector. A part without tokens, or beyond those the model
    reads, has mass 0 and a row of zeros.
    """

    masses: list[float] = field(default_factory=list)
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of texts, and for each text its parts."""

    vectors: Vectors
    parts: list[Parts]


@runtime_checkable
class Embed(Protocol):
    """Turns texts into vectors whose dot product is their similarity."""

    @property
    def fingerprint(self) -> str:
        """Identity of the model and of every setting that changes its vectors: a cache key."""
        ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        """Turn any number of texts into one vector each, in order.

        `urgent`: someone waits for a query; it goes before bulk work. Raises `Unavailable`
        when the model died and cannot be had again.
        """
        ...

    async def embed_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> Embedded:
        """Embed, and for each text make the vectors of its `parts`, spans of its characters.

        They cost next to nothing beside the text itself. A token counts for a span that it lies
        in; spans may overlap. A model without token states answers with empty `Parts`.
        """
        ...
