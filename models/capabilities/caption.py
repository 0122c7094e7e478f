"""Captioning: what is in a picture, or an answer to a question about it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """`images` are PNG or JPEG files, upright and of bounded size (`tools.media` makes them so).

    Without a `prompt` the model describes them in its own way.
    """

    images: Sequence[bytes]
    prompt: str = ""
    max_tokens: int = 256


@runtime_checkable
class Caption(Protocol):
    """Looks at pictures."""

    def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        """Stream the text, piece by piece as the model writes it.

        Raises `Invalid` when it cannot take so many images, or no prompt.
        """
        ...
