"""Speech to text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

RATE = 16_000
"""Samples a second: what Whisper and its like hear."""


@dataclass(frozen=True, slots=True)
class TranscribeRequest:
    """`samples`: mono signed 16-bit little-endian, 16,000 a second (`tools.media` makes them so).

    Without a `language` (BCP 47) the model finds it out. `translate`: into English.
    """

    samples: bytes
    language: str | None = None
    translate: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and what was said in it. `language`: the one spoken, where it is known
    (BCP 47)."""

    start_s: float
    end_s: float
    text: str
    language: str = ""


@runtime_checkable
class Transcribe(Protocol):
    """Listens."""

    def transcribe(self, request: TranscribeRequest) -> AsyncGenerator[Segment, None]:
        """Stream segments in order, as they are understood."""
        ...
