"""The types of pictures as they come out of `Media`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PictureFormat = Literal["png", "jpeg"]


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """A file as it was given: its format, such as "webp", and its size as stored."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A PNG or JPEG file, upright, of RGB or RGBA, without metadata; and what it was made of."""

    data: bytes
    media_type: str
    width: int
    height: int
    original: PictureFacts
