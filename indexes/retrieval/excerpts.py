"""The excerpts of a passage: a few sentences each, with a vector of their own.

A passage is about several things, and its one vector is their mean. The vectors of its excerpts
say which of them is near a question: they rank passages better than the mean alone, and tell the
reader what to quote without embedding anything again. They are made from the token states of the
same pass (late chunking, arXiv:2409.04701) and kept as bytes beside the passage's vector.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.text.sentences import Sentence, split_sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MIN_EXCERPT_WORDS = 12
"""Shorter sentences join their neighbours: a vector of few words is near to anything."""
MAX_BEST_SPANS = 3

_HEAD = struct.Struct("<HH")
_ENTRY = struct.Struct("<IIf")
_SCALE = 127.0

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A stretch of a passage, as characters of its text, and its cosine to a question."""

    start: int
    end: int
    score: float


def find_excerpts(text: str) -> list[Span]:
    """Where the excerpts of a passage are: whole sentences, in order; headings are in none."""
    found: list[Span] = []
    for run in _split_at_headings(split_sentences(text)):
        begin, words = run[0].start, 0
        for sentence in run:
            begin = sentence.start if begin < 0 else begin
            words += len(text[sentence.start : sentence.end].split())
            if words >= MIN_EXCERPT_WORDS:
                found.append((begin, sentence.end))
                begin, words = -1, 0
        if begin >= 0:
            found.append((begin, run[-1].end))
    return found


def _split_at_headings(found: Sequence[Sentence]) -> Iterator[list[Sentence]]:
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


def pack_excerpts(spans: Sequence[Span], masses: Sequence[float], data: bytes) -> bytes:
    """The excerpts of one passage as they are stored.

    `data` holds a row of signed bytes for each span (a unit vector times 127); its mass is the
    length of the sum of its token states. Spans without a token are left out.
    """
    width = len(data) // len(spans) if spans else 0
    kept = [at for at, mass in enumerate(masses) if mass > 0]
    table = b"".join(_ENTRY.pack(*spans[at], masses[at]) for at in kept)
    rows = b"".join(data[at * width : (at + 1) * width] for at in kept)
    return _HEAD.pack(len(kept), width) + table + rows


def is_packed(stored: bytes, chars: int) -> bool:
    """Whether bytes, which may come from anywhere, are the excerpts of a passage of `chars`."""
    if len(stored) < _HEAD.size:
        return not stored
    count, width = _HEAD.unpack_from(stored)
    table = _HEAD.size + count * _ENTRY.size
    return len(stored) == table + count * width and all(
        start < end <= chars and 0 < mass < math.inf
        for start, end, mass in _ENTRY.iter_unpack(stored[_HEAD.size : table])
    )


def score_best_excerpts(question: Floats, stored: Sequence[bytes]) -> list[float | None]:
    """For each passage the cosine of its best excerpt to a question's unit vector; None where it
    has none, or those of another model."""
    import numpy as np  # not needed by a server that searches nothing

    heads = [_HEAD.unpack_from(each) if each else (0, 0) for each in stored]
    counts = [count if width == len(question) else 0 for count, width in heads]
    found = [(each, count) for each, count in zip(stored, counts, strict=True) if count]
    if not found:
        return [None] * len(stored)
    # All of them at once: there are many, and each is small.
    rows = b"".join(each[_HEAD.size + count * _ENTRY.size :] for each, count in found)
    units = np.frombuffer(rows, np.int8).reshape(-1, len(question)).astype(np.float32)
    firsts = np.cumsum([0, *(count for _, count in found)])[:-1]
    best = iter((np.maximum.reduceat(units @ question, firsts) / _SCALE).tolist())
    return [next(best) if count else None for count in counts]


def find_best_spans(question: Floats, stored: bytes) -> list[ScoredSpan]:
    """The stretches of a passage that come nearest to a question, best first; none overlap.

    A stretch is two excerpts that follow each other, since what answers a question often stands
    in the sentence after the one that is most like it.
    """
    import numpy as np

    places, rows = _unpack(stored, len(question))
    if len(places) < 2:
        return [ScoredSpan(start, end, float(rows[0] @ question)) for start, end, _ in places]
    masses = np.array([mass for _, _, mass in places], np.float32)
    sums = rows * masses[:, None]
    pairs = sums[:-1] + sums[1:]
    scores = pairs @ question / np.maximum(np.linalg.norm(pairs, axis=1), 1e-9)
    windows = [
        ScoredSpan(places[at][0], places[at + 1][1], float(score))
        for at, score in enumerate(scores)
    ]
    return _drop_overlapping(windows)


def _unpack(stored: bytes, dimensions: int) -> tuple[list[tuple[int, int, float]], Floats]:
    """(start, end, mass) of each excerpt, and their unit vectors."""
    import numpy as np  # not needed by a server that searches nothing

    count, width = _HEAD.unpack_from(stored) if stored else (0, 0)
    if width != dimensions:
        return [], np.empty((0, dimensions), np.float32)
    table = _HEAD.size + count * _ENTRY.size
    places = list(_ENTRY.iter_unpack(stored[_HEAD.size : table]))
    rows = np.frombuffer(stored, np.int8, offset=table).reshape(count, width)
    return places, rows.astype(np.float32) / _SCALE


def _drop_overlapping(windows: Sequence[ScoredSpan]) -> list[ScoredSpan]:
    """The best that do not overlap."""
    chosen: list[ScoredSpan] = []
    for window in sorted(windows, key=lambda each: (-each.score, each.start)):
        if all(window.end <= other.start or other.end <= window.start for other in chosen):
            chosen.append(window)
        if len(chosen) == MAX_BEST_SPANS:
            break
    return chosen
