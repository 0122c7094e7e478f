"""Markers in text that comes in pieces: where one may be cut in two, and where one stands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_MAX_LINE = 80
"""Characters of a line that are remembered: its beginning and its end."""


class LinePosition(NamedTuple):
    """Where in a text something stands: the line up to there, and whether that is in code."""

    line: str = ""
    is_code: bool = False

    @property
    def begins_line(self) -> bool:
        return not self.line.strip()

    def after(self, text: str) -> LinePosition:
        """Return where what follows `text` stands."""
        is_code = self.is_code
        first, *more = text.split("\n")
        line = self.line + first
        for following in more:
            is_code ^= bool(_FENCE.match(line))
            line = following
        if len(line) > _MAX_LINE:
            line = line[: _MAX_LINE // 2] + line[-_MAX_LINE // 2 :]
        return LinePosition(line, is_code)


def safe_prefix_length(text: str, markers: Iterable[str]) -> int:
    """Measure how much of `text` cannot be the start of a marker whose rest is to come."""
    markers = tuple(markers)
    longest = max((len(marker) for marker in markers), default=0)
    for begin in range(max(0, len(text) - longest + 1), len(text)):
        if any(marker.startswith(text[begin:]) for marker in markers):
            return begin
    return len(text)
