"""Text that goes round in circles, noticed while it comes.

A loop is the same text over and over, to the end, or lines that differ in their numbers alone. The
numbers of citations, which models count up, are all the same.
Owns how much of it is too much. Tables, lists of like values and refrains stay below that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

MIN_LOOP_CHARS = 480
"""So much of a text must repeat what stands before it."""
LIKE_ROUNDS = 30
"""So many times must a text come that differs in its numbers alone."""
LIKE_LETTERS = 25
"""So many letters such a text has at least: rows of numbers are none."""
BROKEN_OFF_ROUNDS = 20
"""So many make a loop of a text that is not whole: Ollama breaks off after 31 equal tokens."""
BROKEN_OFF_CHARS = 100
"""Of rounds in so long a text half as many do."""
FORMAT_FACTOR = 4
"""By which JSON may repeat itself more: its values are often the same."""
_PROBE_CHARS = 24
_STEP_CHARS, _LIKE_STEP_CHARS = 64, 512
"""How often, in characters, a text is looked at for equal and for like rounds."""
_MAX_PERIOD = 2000
_WINDOW_CHARS = 3 * _MAX_PERIOD
"""Of a text's end that is looked at."""
_MAX_TRIES = 40
"""Of periods, the shortest first: a round may repeat something within itself."""
_DIGIT = re.compile(r"[0-9]")
_MARKER = re.compile(r"\[\d+(?:, ?\d+)*\]")
_BREAK = re.compile(r"[.!?…。！？][\"'”’)\]*_]*(?=\s)|\n")


class Loop(NamedTuple):
    """`text[start:]` repeats its first `period` characters."""

    start: int
    period: int


class RepetitionDetector:
    """Looks at one text while it comes."""

    def __init__(self, *, is_format: bool = False) -> None:
        self._tail = self._like_tail = ""
        """The text's end, as it is and with all digits alike."""
        self._dropped = 0
        """Characters before the tail."""
        self._new: list[str] = []
        self._new_chars = self._since_like = 0
        self._factor = FORMAT_FACTOR if is_format else 1

    def feed(self, piece: str) -> int | None:
        """Take a piece; once the text loops, return how much of it to keep.

        That is what comes before the loop, and its first round to the end of a sentence.
        """
        self._new.append(piece)
        self._new_chars += len(piece)
        if self._new_chars < _STEP_CHARS:
            return None
        self._extend("".join(self._new))
        loop = find_loop(_without_markers(self._tail), self._needed) or self._find_like()
        return self._dropped + _first_round(self._tail, loop) if loop else None

    def end(self) -> int | None:
        """Return how much to keep of a text that is not whole; None where it does not loop."""
        self._extend("".join(self._new))
        loop = find_loop(_without_markers(self._tail), self._needed_at_end)
        return self._dropped + _first_round(self._tail, loop) if loop else None

    def _extend(self, text: str) -> None:
        self._tail += text
        self._like_tail += _DIGIT.sub("0", text)
        surplus = len(self._tail) - _WINDOW_CHARS * self._factor
        if surplus > _WINDOW_CHARS:
            self._tail, self._like_tail = self._tail[surplus:], self._like_tail[surplus:]
            self._dropped += surplus
        self._since_like += len(text)
        self._new, self._new_chars = [], 0

    def _needed(self, period: int) -> int:
        """Return how long a loop of this period must be."""
        rounds = 6 if period < 200 else 4 if period < 600 else 3
        return max(MIN_LOOP_CHARS, rounds * period) * self._factor

    def _needed_at_end(self, period: int) -> int:
        rounds = BROKEN_OFF_ROUNDS * period
        return min(rounds, max(rounds // 2, BROKEN_OFF_CHARS), self._needed(period))

    def _find_like(self) -> Loop | None:
        if self._since_like < _LIKE_STEP_CHARS:
            return None
        self._since_like = 0
        rounds = LIKE_ROUNDS * self._factor
        loop = find_loop(self._like_tail, lambda period: rounds * period)
        if loop is None:
            return None
        letters = sum(map(str.isalpha, self._tail[loop.start : loop.start + loop.period]))
        return loop if letters >= LIKE_LETTERS else None


def _without_markers(text: str) -> str:
    """Make the numbers of all citations zeros; the length stays."""
    return _MARKER.sub(lambda match: _DIGIT.sub("0", match[0]), text)


def find_loop(text: str, needed: Callable[[int], int]) -> Loop | None:
    """Return the loop that a text ends in, if it is as long as its period needs."""
    if len(text) <= _PROBE_CHARS:
        return None
    probe = text[-_PROBE_CHARS:]
    begin, end = max(0, len(text) - _PROBE_CHARS - _MAX_PERIOD), len(text) - 1
    for _ in range(_MAX_TRIES):
        at = text.rfind(probe, begin, end)
        if at < 0:
            return None
        period = len(text) - len(probe) - at
        length = needed(period)
        if length <= len(text) and text[-length:-period] == text[period - length :]:
            return Loop(_loop_start(text, period, len(text) - length), period)
        end = at + len(probe) - 1
    return None


def _loop_start(text: str, period: int, start: int) -> int:
    while start and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return start


def _first_round(text: str, loop: Loop) -> int:
    end = loop.start + loop.period
    sentence_end = _BREAK.search(text, end - 1, end + loop.period)
    return sentence_end.end() if sentence_end else end
