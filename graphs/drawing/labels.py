"""The labels of arrows: in which lines they are written, how large they are, where they stand."""

from __future__ import annotations

import textwrap
from unicodedata import east_asian_width

Point = tuple[float, float]

CHAR_WIDTH = 6.8
"""Of a letter at the 12 px of labels in `svg`'s style."""
LINE_HEIGHT = 15.0
MAX_LINE_CHARS = 40
"""A longer label has several lines, so that nothing of it is left out."""


def label_lines(label: str) -> list[str]:
    """Break a label into lines; all of its words are there."""
    return textwrap.wrap(label, MAX_LINE_CHARS, break_on_hyphens=False)


def label_width(label: str) -> float:
    """Estimate how wide a label is drawn."""
    return max((_width(line) for line in label_lines(label)), default=0.0)


def label_height(label: str) -> float:
    """Return how high a label is drawn."""
    return len(label_lines(label)) * LINE_HEIGHT


def label_point(points: tuple[Point, ...]) -> Point:
    """Return the middle of a label: nearer to the end, where arrows of one fork are apart."""
    (x0, y0), (x1, y1) = points[len(points) // 2 - 1], points[len(points) // 2]
    return x0 + (x1 - x0) * 0.6, y0 + (y1 - y0) * 0.55


def _width(line: str) -> float:
    return sum(2.0 if east_asian_width(sign) in "WF" else 1.0 for sign in line) * CHAR_WIDTH
