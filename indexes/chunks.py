"""Cuts a document into passages: along its sections and blocks, of about one size.

Sizes are counted in words; a stretch of letters that no word is as long as counts as several, and
so does each ideograph, so that a passage fits the embedder whatever it holds.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from indexes.documents import Block, Content, trimmed

WORD = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯]|\w+")
SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*\s+|\n\s*\n")
LINE_END = re.compile(r"\n")
LONG_WORD_CHARS = 16

SPILL = 1.25
"""No passage exceeds the wanted size by more than this factor."""
TINY = 0.2
"""A section smaller than this share of a passage joins the next one."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage: `text[start:end]` of its document, below the headings of `heading`.

    `page` counts from 1: where it starts, for documents that have pages.
    """

    start: int
    end: int
    heading: tuple[str, ...]
    page: int | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or a part of one that is too long, with its size in words."""

    start: int
    end: int
    words: int


@dataclass(frozen=True, slots=True)
class _Section:
    """`bare`: it is a heading alone, without anything below it."""

    heading: tuple[str, ...]
    pieces: tuple[_Piece, ...]
    bare: bool

    @property
    def words(self) -> int:
        return sum(piece.words for piece in self.pieces)


def chunks(content: Content, words: int) -> list[Chunk]:
    """The passages of a document, in order, each of about `words` words and trimmed of space."""
    sections = _joined(_sections(content, words), words)
    found = (chunk for section in sections for chunk in _packed(section, words))
    if not content.pages:
        return list(found)
    return [replace(chunk, page=bisect_right(content.pages, chunk.start) or 1) for chunk in found]


def count_words(text: str) -> int:
    return sum(1 + (len(word) - 1) // LONG_WORD_CHARS for word in WORD.findall(text))


def _sections(content: Content, words: int) -> Iterator[_Section]:
    """A section for each heading, with the path of headings above it."""
    path: list[Block] = []
    pieces: list[_Piece] = []
    bare = True
    for block in content.blocks:
        if block.kind == "heading":
            if pieces:
                yield _Section(_titles(path), tuple(pieces), bare)
            pieces, bare = [], True
            path = [above for above in path if above.level < block.level] + [block]
        else:
            bare = False
        pieces += _pieces(content.text, block, words)
    if pieces:
        yield _Section(_titles(path), tuple(pieces), bare)


def _titles(path: Sequence[Block]) -> tuple[str, ...]:
    return tuple(block.title for block in path if block.title)


def _joined(sections: Iterator[_Section], words: int) -> Iterator[_Section]:
    """Tiny sections (a heading alone, a line of text) go together with what follows them."""
    held: _Section | None = None
    for section in sections:
        if held:
            bare = held.bare and section.bare
            section = _Section(_heading(held, section), held.pieces + section.pieces, bare)
            held = None
        if section.words < TINY * words:
            held = section
        else:
            yield section
    if held:
        yield held


def _heading(first: _Section, second: _Section) -> tuple[str, ...]:
    """What two joined sections both stand below: the second's own where it is part of the first
    and this is its heading alone."""
    pairs = zip(first.heading, second.heading, strict=False)
    common = tuple(title for title, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return second.heading if first.bare and common == first.heading else common


def _packed(section: _Section, words: int) -> Iterator[Chunk]:
    """Even passages, as few as the wanted size allows, so that none ends as a sliver."""
    most = SPILL * words
    wanted = section.words / max(1, math.ceil(section.words / most))
    start, end, size = section.pieces[0].start, section.pieces[0].end, 0
    for piece in section.pieces:
        if size and (size + piece.words / 2 > wanted or size + piece.words > most):
            yield Chunk(start, end, section.heading)
            start, size = piece.start, 0
        end = piece.end
        size += piece.words
    yield Chunk(start, end, section.heading)


def _pieces(text: str, block: Block, words: int) -> Iterator[_Piece]:
    """The block whole where it fits, else at sentence or line ends, else between words."""
    size = count_words(text[block.start : block.end])
    if size <= words:
        yield _Piece(block.start, block.end, size)
        return
    ends = LINE_END if block.kind in ("code", "table") else SENTENCE_END
    for start, end in _cut(text, block.start, block.end, ends):
        size = count_words(text[start:end])
        if size <= words:
            yield _Piece(start, end, size)
        else:
            yield from _runs_of_words(text, start, end, words)


def _cut(text: str, start: int, end: int, ends: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    stops = [match.end() for match in ends.finditer(text, start, end)]
    for stop in [*stops, end]:
        if span := trimmed(text, start, stop):
            yield span
        start = stop


def _runs_of_words(text: str, start: int, end: int, words: int) -> Iterator[_Piece]:
    size, begin = 0, start
    for stop, count in _word_stops(text, start, end, words):
        if size and size + count > words:
            if span := trimmed(text, start, begin):
                yield _Piece(*span, size)
            start, size = begin, 0
        size += count
        begin = stop
    if span := trimmed(text, start, end):
        yield _Piece(*span, size)


def _word_stops(text: str, start: int, end: int, words: int) -> Iterator[tuple[int, int]]:
    """(where a word ends, its size); an endless word ends every so often."""
    longest = max(1, words // 2) * LONG_WORD_CHARS
    for match in WORD.finditer(text, start, end):
        for first in range(match.start(), match.end(), longest):
            stop = min(first + longest, match.end())
            yield stop, 1 + (stop - first - 1) // LONG_WORD_CHARS
