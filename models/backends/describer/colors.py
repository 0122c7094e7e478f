"""Names of colours, and which of them a picture has. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from colorsys import rgb_to_hsv

Rgb = tuple[int, int, int]

# Where a hue ends, in degrees.
HUES = (
    (15, "red"),
    (42, "orange"),
    (68, "yellow"),
    (165, "green"),
    (195, "turquoise"),
    (258, "blue"),
    (295, "purple"),
    (340, "pink"),
    (361, "red"),
)
GREY_BELOW = 0.14
BLACK_BELOW = 0.16
DARK_BELOW = 0.38
WHITE_FROM = 0.9
LEAST_SHARE = 0.05
MOST_NAMED = 4


def name(color: Rgb) -> str:
    """Name one colour."""
    hue, saturation, value = rgb_to_hsv(*(part / 255 for part in color))
    if value < BLACK_BELOW:
        return "black"
    if saturation < GREY_BELOW:
        return "white" if value >= WHITE_FROM else "dark grey" if value < DARK_BELOW else "grey"
    word = next(word for end, word in HUES if hue * 360 < end)
    if word == "orange" and value < 0.65:
        return "brown"
    return f"dark {word}" if value < DARK_BELOW else word


def shares(counted: Iterable[tuple[int, Rgb]]) -> list[tuple[str, float]]:
    """Measure the shares of colours, the largest first; tiny ones are left out."""
    sums: Counter[str] = Counter()
    for count, color in counted:
        sums[name(color)] += count
    total = sums.total()
    largest = [(word, count / total) for word, count in sums.most_common(MOST_NAMED)]
    return [(word, share) for word, share in largest if share >= LEAST_SHARE]


def brightness(counted: Iterable[tuple[int, Rgb]]) -> float:
    """Measure the mean of what the eye sees as light, from 0 to 1."""
    light = total = 0.0
    for count, (red, green, blue) in counted:
        # The weights of ITU-R BT.709.
        light += count * (0.2126 * red + 0.7152 * green + 0.0722 * blue)
        total += count
    return light / total / 255
