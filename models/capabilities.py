"""What a leased model can do: small protocols, one for each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # at run time 0.3 s and 40 MB that a server without chat need not pay
    from langchain_core.language_models import BaseChatModel

Chat: TypeAlias = "BaseChatModel"
"""A LangChain chat model, so that streaming and tool calls follow the ecosystem."""

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Vectors:
    """L2-normalised rows of `dimensions` little-endian float32 numbers, one for each text."""

    count: int
    dimensions: int
    data: bytes

    def row(self, number: int) -> bytes:
        """The bytes of one vector."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        width = self.dimensions * FLOAT_BYTES
        return self.data[number * width : (number + 1) * width]

    @classmethod
    def joined(cls, dimensions: int, rows: Sequence[bytes]) -> Vectors:
        """Vectors out of single rows."""
        return cls(len(rows), dimensions, b"".join(rows))


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
        """One vector for each text, in order. Any number of texts.

        `urgent`: someone waits for a query; it goes before bulk work. Raises `Unavailable`
        when the model died and cannot be had again.
        """
        ...
