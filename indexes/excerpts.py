"""The excerpts of a passage: a few sentences each, with a vector of their own.

A passage is about several things, and its one vector is their mean. The vectors of its excerpts
say which of them is near a question: they rank passages better than the mean alone, and tell the
reader what to quote without embedding anything again. They are made from the token states of the
same pass (late chunking, arXiv:2409.04701) and kept as bytes beside the passage's vector.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.backends.sentences import Sentence, sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEAST_WORDS = 12
"""Shorter sentences join their neighbours: a vector of few words is near to anything."""
WINDOW_EXCERPTS = 2
BEST_WINDOWS = 3

_HEAD = struct.Struct("<HH")
_PLACE = struct.Struct("<IIf")
_SCALE = 127.0

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Excerpts that stand together, as characters of the passage, and their cosine to a
    question."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a passage comes to a question: its best excerpt's cosine, and its best windows,
    none of which overlap, best first."""

    best: float
    windows: tuple[Window, ...]


def excerpts_of(text: str) -> list[Span]:
    """Where the excerpts of a passage are: whole sentences, in order; headings are in none."""
    found: list[Span] = []
    for run in _runs(sentences(text)):
        begin, words = run[0].start, 0
        for sentence in run:
            begin = sentence.start if begin < 0 else begin
            words += len(text[sentence.start : sentence.end].split())
            if words >= LEAST_WORDS:
                found.append((begin, sentence.end))
                begin, words = -1, 0
        if begin >= 0:
            found.append((begin, run[-1].end))
    return found


def _runs(found: Sequence[Sentence]) -> Iterator[list[Sentence]]:
    """Sentences between headings."""
    run: list[Sentence] = []
    for sentence in found:
        if not sentence.heading:
            run.append(sentence)
        elif run:
            yield run
            run = []
    if run:
        yield run


def packed(spans: Sequence[Span], masses: Sequence[float], data: bytes) -> bytes:
    """The excerpts of one passage as they are stored.

    `data` holds a row of signed bytes for each span (a unit vector times 127); its mass is the
    length of the sum of its token states. Spans without a token are left out.
    """
    width = len(data) // len(spans) if spans else 0
    kept = [at for at, mass in enumerate(masses) if mass > 0]
    table = b"".join(_PLACE.pack(*spans[at], masses[at]) for at in kept)
    rows = b"".join(data[at * width : (at + 1) * width] for at in kept)
    return _HEAD.pack(len(kept), width) + table + rows


def nearness(question: Floats, stored: bytes | None) -> Nearness | None:
    """How near a passage's excerpts come to a question's unit vector; None without excerpts."""
    import numpy as np  # not needed by a server that searches nothing

    count, width = _HEAD.unpack_from(stored) if stored else (0, 0)
    if not stored or not count or width != len(question):
        return None
    table = _HEAD.size + count * _PLACE.size
    places = list(_PLACE.iter_unpack(stored[_HEAD.size : table]))
    rows = np.frombuffer(stored, np.int8, offset=table).reshape(count, width).astype(np.float32)
    rows /= _SCALE
    masses = np.array([mass for _, _, mass in places], np.float32)
    windows = _windows(places, rows * masses[:, None], question)
    return Nearness(float((rows @ question).max()), _apart(windows))


def _windows(
    places: Sequence[tuple[int, int, float]], sums: Floats, question: Floats
) -> Iterator[Window]:
    import numpy as np

    size = min(WINDOW_EXCERPTS, len(places))
    for first in range(len(places) - size + 1):
        whole = sums[first : first + size].sum(axis=0)
        length = float(np.linalg.norm(whole)) or 1.0
        score = float(whole @ question) / length
        yield Window(places[first][0], places[first + size - 1][1], score)


def _apart(windows: Iterator[Window]) -> tuple[Window, ...]:
    """The best that do not overlap."""
    chosen: list[Window] = []
    for window in sorted(windows, key=lambda each: (-each.score, each.start)):
        if all(window.end <= other.start or other.end <= window.start for other in chosen):
            chosen.append(window)
        if len(chosen) == BEST_WINDOWS:
            break
    return tuple(chosen)
