"""The types of sound as it goes into `Media` and comes out of it. Lengths are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SoundFormat = Literal["wav", "flac", "mp3", "ogg", "opus"]

MEDIA_TYPES: dict[SoundFormat, str] = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
}
TAGS = ("title", "artist", "album", "comment", "date", "genre", "copyright")
"""What libsndfile writes into a file of any format."""


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """A file as it was given: its format, such as "mp3", samples a second, channels, length."""

    format: str
    rate: int
    channels: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ListenedSound:
    """Mono signed 16-bit little-endian samples, 16,000 a second; and what they were made of."""

    samples: bytes
    seconds: float
    original: SoundFacts


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter begins with the part of that number, counted from 0."""

    title: str
    part: int


@dataclass(frozen=True, slots=True)
class EncodedSound:
    """A file of sound. `starts` are the seconds at which each of its parts begins."""

    data: bytes
    media_type: str
    rate: int
    seconds: float
    starts: tuple[float, ...]
