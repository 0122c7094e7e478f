"""The small world that the small models know: one coloured shape on a coloured ground."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from PIL import Image, ImageDraw

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (247, 137, 20),
    "yellow": (250, 214, 30),
    "green": (46, 150, 65),
    "blue": (35, 90, 200),
    "purple": (130, 50, 165),
    "black": (20, 20, 24),
    "white": (245, 245, 242),
}
SHAPES = ("circle", "square", "triangle", "star")
SUPERSAMPLED = 4


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture of the small world."""

    color: str
    shape: str
    ground: str

    @property
    def prompt(self) -> str:
        """The words for it, as in "a red circle on a blue ground"."""
        return f"{_article(self.color)} {self.shape} on {_article(self.ground)} ground"


def scenes() -> Iterator[Scene]:
    """All 224 of them, in a fixed order."""
    for color, shape, ground in itertools.product(COLORS, SHAPES, COLORS):
        if color != ground:
            yield Scene(color, shape, ground)


def draw(scene: Scene, size: int, random: Random) -> Image.Image:
    """The scene as a picture of `size` x `size`; place, scale, turn and tint vary a little."""
    big = size * SUPERSAMPLED
    image = Image.new("RGB", (big, big), _tinted(scene.ground, random))
    radius = big * random.uniform(0.24, 0.34)
    slack = big / 2 - radius
    x, y = (big / 2 + random.uniform(-0.35, 0.35) * slack for _ in range(2))
    pen, fill = ImageDraw.Draw(image), _tinted(scene.color, random)
    if scene.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    else:
        pen.polygon(_corners(scene.shape, x, y, radius, random.uniform(-0.15, 0.15)), fill=fill)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _corners(
    shape: str, x: float, y: float, radius: float, turn: float
) -> list[tuple[float, float]]:
    count, begin = {"square": (4, pi / 4), "triangle": (3, pi / 2), "star": (10, pi / 2)}[shape]
    radii = [radius, radius * 0.42] if shape == "star" else [radius]
    angles = [begin + turn + 2 * pi * number / count for number in range(count)]
    return [
        (x + radii[n % len(radii)] * cos(angle), y - radii[n % len(radii)] * sin(angle))
        for n, angle in enumerate(angles)
    ]


def _tinted(color: str, random: Random) -> tuple[int, ...]:
    return tuple(max(0, min(255, part + random.randint(-8, 8))) for part in COLORS[color])


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
