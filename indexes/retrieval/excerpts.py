"""The excerpts of a passage: a few sentences each, with a vector of their own.

A passage is about several things, and its one vector is their mean. The vectors of its excerpts say
which of them is near a question: they rank passages better than the mean alone, and tell the reader
what to quote without embedding anything again. They are made from the token states of the same pass
(late chunking, arXiv:2409.04701) and stored as bytes beside the passage's vector.

Format, little-endian: count and width (`HH`), for each excerpt start, end and mass (`IIf`), then
for each a row of `width` signed bytes: its unit vector times 127. Spans are characters of the
passage's text. Who embeds is `ingestion`'s matter, who ranks `rescoring`'s.
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
"""How many stretches of a passage are shown."""

_HEAD = struct.Struct("<HH")
_ENTRY = struct.Struct("<IIf")
_SCALE = 127.0
"""A unit vector's components in signed bytes; -128 is not used."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A stretch of a passage, as characters of its text, and its cosine to a question."""

    start: int
    end: int
    score: float


def find_excerpts(text: str) -> list[Span]:
    """Find the excerpts of a passage: whole sentences, in order; headings are in none."""
    excerpts: list[Span] = []
    for run in _split_at_headings(split_sentences(text)):
        begin, words = run[0].start, 0
        for sentence in run:
            begin = sentence.start if begin < 0 else begin
            words += len(text[sentence.start : sentence.end].split())
            if words >= MIN_EXCERPT_WORDS:
                excerpts.append((begin, sentence.end))
                begin, words = -1, 0
        if begin >= 0:
            excerpts.append((begin, run[-1].end))
    return excerpts


def _split_at_headings(run_sentences: Sequence[Sentence]) -> Iterator[list[Sentence]]:
    """Yield the runs of sentences between headings."""
    run: list[Sentence] = []
    for sentence in run_sentences:
        if not sentence.heading:
            run.append(sentence)
        elif run:
            yield run
            run = []
    if run:
        yield run


def pack_excerpts(spans: Sequence[Span], masses: Sequence[float], data: bytes) -> bytes:
    """Pack the excerpts of one passage as they are stored.

    `data` holds a row of signed bytes for each span (a unit vector times 127); its mass is the
    length of the sum of its token states. Spans without a token are left out.
    """
    width = len(data) // len(spans) if spans else 0
    stored_spans = [at for at, mass in enumerate(masses) if mass > 0]
    table = b"".join(_ENTRY.pack(*spans[at], masses[at]) for at in stored_spans)
    rows = b"".join(data[at * width : (at + 1) * width] for at in stored_spans)
    return _HEAD.pack(len(stored_spans), width) + table + rows


def is_packed(stored: bytes, chars: int) -> bool:
    """Tell whether bytes, which may come from anywhere, are the excerpts of a passage of `chars`.

    Checks sizes, spans and masses, so that unpacking cannot fail later.
    """
    if len(stored) < _HEAD.size:
        return not stored
    count, width = _HEAD.unpack_from(stored)
    table = _HEAD.size + count * _ENTRY.size
    return len(stored) == table + count * width and all(
        start < end <= chars and 0 < mass < math.inf
        for start, end, mass in _ENTRY.iter_unpack(stored[_HEAD.size : table])
    )


def score_best_excerpts(question: Floats, stored: Sequence[bytes]) -> list[float | None]:
    """Return for each passage the cosine of its best excerpt to a question's unit vector.

    `question` is of shape (dimensions,). None stands for a passage without excerpts, or with those
    of another model, whose vectors have another width.
    """
    import numpy as np  # not needed by a server that searches nothing

    heads = [_HEAD.unpack_from(each) if each else (0, 0) for each in stored]
    counts = [count if width == len(question) else 0 for count, width in heads]
    with_excerpts = [(each, count) for each, count in zip(stored, counts, strict=True) if count]
    if not with_excerpts:
        return [None] * len(stored)
    # All of them at once: there are many, and each is small.
    rows = b"".join(each[_HEAD.size + count * _ENTRY.size :] for each, count in with_excerpts)
    units = np.frombuffer(rows, np.int8).reshape(-1, len(question)).astype(np.float32)
    firsts = np.cumsum([0, *(count for _, count in with_excerpts)])[:-1]
    best = iter((np.maximum.reduceat(units @ question, firsts) / _SCALE).tolist())
    return [next(best) if count else None for count in counts]


def find_best_spans(question: Floats, stored: bytes) -> list[ScoredSpan]:
    """Find the stretches of a passage that come nearest to a question, best first; none overlap.

    A stretch is two excerpts that follow each other, since what answers a question often stands in
    the sentence after the one that is most like it. Its vector is the sum of theirs, weighted by
    their masses: the mean of all their token states, as one pass would have made it.
    """
    import numpy as np

    entries, rows = _unpack(stored, len(question))
    if len(entries) < 2:
        return [ScoredSpan(start, end, float(rows[0] @ question)) for start, end, _ in entries]
    masses = np.array([mass for _, _, mass in entries], np.float32)
    sums = rows * masses[:, None]
    pairs = sums[:-1] + sums[1:]
    scores = pairs @ question / np.maximum(np.linalg.norm(pairs, axis=1), 1e-9)
    scored_pairs = [
        ScoredSpan(entries[at][0], entries[at + 1][1], float(score))
        for at, score in enumerate(scores)
    ]
    return _drop_overlapping(scored_pairs)


def _unpack(stored: bytes, dimensions: int) -> tuple[list[tuple[int, int, float]], Floats]:
    """Return (start, end, mass) of each excerpt, and their unit vectors, (excerpts, dimensions)."""
    import numpy as np  # not needed by a server that searches nothing

    count, width = _HEAD.unpack_from(stored) if stored else (0, 0)
    if width != dimensions:
        return [], np.empty((0, dimensions), np.float32)
    table = _HEAD.size + count * _ENTRY.size
    entries = list(_ENTRY.iter_unpack(stored[_HEAD.size : table]))
    rows = np.frombuffer(stored, np.int8, offset=table).reshape(count, width)
    return entries, rows.astype(np.float32) / _SCALE


def _drop_overlapping(spans: Sequence[ScoredSpan]) -> list[ScoredSpan]:
    """Choose the best spans that do not overlap."""
    chosen: list[ScoredSpan] = []
    for span in sorted(spans, key=lambda each: (-each.score, each.start)):
        if all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
        if len(chosen) == MAX_BEST_SPANS:
            break
    return chosen
