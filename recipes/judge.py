"""Reads a picture of the small world without any model: by nearest colours and by outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recipes.shapes import COLORS, Scene

Pixels = NDArray[np.float32]

BORDER = 6
DIFFERENT = 60.0
LEAST_SHARE, MOST_SHARE = 0.03, 0.6
ANGLES = 72
# How strongly the outline swings three, four or five times around; a circle's does not.
CORNERS = {3: "triangle", 4: "square", 5: "star"}
LEAST_SWING = 0.04


def read(image: Image.Image) -> Scene | None:
    """The scene in the picture; None when there is no one clear shape on a ground."""
    pixels: Pixels = np.asarray(image.convert("RGB"), np.float32)
    edge = np.concatenate([pixels[:BORDER].reshape(-1, 3), pixels[-BORDER:].reshape(-1, 3)])
    ground = np.median(edge, axis=0)
    inside = np.linalg.norm(pixels - ground, axis=2) > DIFFERENT
    if not LEAST_SHARE < inside.mean() < MOST_SHARE:
        return None
    return Scene(_nearest(np.median(pixels[inside], axis=0)), _shape(inside), _nearest(ground))


def _nearest(color: Pixels) -> str:
    names = list(COLORS)
    palette = np.array([COLORS[name] for name in names], np.float32)
    return names[int(np.linalg.norm(palette - color, axis=1).argmin())]


def _shape(inside: NDArray[np.bool_]) -> str:
    """By the outline's distance from the middle, in every direction."""
    rows, columns = np.nonzero(inside)
    down, right = rows - rows.mean(), columns - columns.mean()
    turn = ((np.arctan2(down, right) / (2 * np.pi) % 1) * ANGLES).astype(int) % ANGLES
    outline = np.zeros(ANGLES)
    np.maximum.at(outline, turn, np.hypot(down, right))
    swings = np.abs(np.fft.rfft(outline)) / ANGLES / max(outline.mean(), 1.0)
    corners = max(CORNERS, key=lambda count: swings[count])
    return CORNERS[corners] if swings[corners] > LEAST_SWING else "circle"
