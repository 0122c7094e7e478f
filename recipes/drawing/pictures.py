"""The pictures that the drawing model learns from, as tensors from -1 to 1."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from recipes.shapes import Scene, draw

NEUTRALS = ((196, 188, 174), (178, 182, 184), (188, 180, 184), (184, 188, 176), (206, 200, 190))
"""Muted tones, far from every colour of the small world."""


class Steady(Random):
    """Chance that stays near the middle.

    What varies little is learnt in a fraction of the time. Places, sizes and turns still differ
    from seed to seed, and the pictures are as well recognised.
    """

    SPREAD = 0.3

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2 + (super().uniform(a, b) - (a + b) / 2) * self.SPREAD

    def randint(self, a: int, b: int) -> int:
        return round(self.uniform(a, b))


def pictured(scene: Scene | None, size: int, random: Random) -> Tensor:
    """The scene, or for None the calm picture of a prompt that names nothing."""
    image = draw(scene, size, random) if scene else calm(size, random)
    pixels = torch.from_numpy(np.asarray(image).copy())
    return pixels.permute(2, 0, 1).float() / 127.5 - 1


def calm(size: int, random: Random) -> Image.Image:
    """Soft clouds of neutral tones, in which there is nothing to be seen."""
    ground, *tones = random.sample(NEUTRALS, k=3)
    image = Image.new("RGB", (size, size), ground)
    pen = ImageDraw.Draw(image)
    for tone in tones:
        x, y = (random.uniform(0.1, 0.9) * size for _ in range(2))
        wide, high = (random.uniform(0.25, 0.5) * size for _ in range(2))
        pen.ellipse((x - wide, y - high, x + wide, y + high), fill=tone)
    return image.filter(ImageFilter.GaussianBlur(size / 8))
