"""Making pictures: from words, from another picture, or within a mask."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

Mode = Literal["generate", "edit", "inpaint"]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What to draw; None leaves a choice to the model.

    With `image` it is edited, by `strength` (0 keeps it, 1 forgets it); with `mask` too, only what
    is white in the mask is drawn anew. Both are PNG or JPEG files. `count` pictures have the seeds
    `seed`, `seed + 1`, ... `loras` are sources with their weights.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    count: int = 1
    scheduler: str | None = None
    image: bytes | None = None
    mask: bytes | None = None
    strength: float | None = None
    loras: Sequence[tuple[str, float]] = field(default_factory=tuple)
    preview_every: int = 0
    """A small preview with each n-th step; 0: none."""

    @property
    def mode(self) -> Mode:
        if self.image is None:
            return "generate"
        return "edit" if self.mask is None else "inpaint"


@dataclass(frozen=True, slots=True)
class ImageStep:
    """Progress: `step` of `total` is done. `preview` is a small JPEG file."""

    step: int
    total: int
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was made: a PNG file, and what makes the same one again."""

    data: bytes
    width: int
    height: int
    seed: int
    settings: dict[str, object] = field(default_factory=dict)
    """Steps, guidance, scheduler, ... as they were used."""


@dataclass(frozen=True, slots=True)
class ImageAbilities:
    """What an image model can do: its modes, its usual size, the names of its schedulers."""

    modes: tuple[Mode, ...]
    width: int
    height: int
    schedulers: tuple[str, ...] = ()
    max_count: int = 1


@runtime_checkable
class Image(Protocol):
    """Draws."""

    @property
    def abilities(self) -> ImageAbilities: ...

    def draw(self, request: ImageRequest) -> AsyncGenerator[ImageStep | Picture, None]:
        """Stream the steps as they are done, then the pictures.

        Raises `Invalid` naming the field for a mode, size or scheduler that it cannot do.
        """
        ...
