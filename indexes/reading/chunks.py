"""Cuts a document into passages: along its sections and blocks, of about one size.

Sizes are counted in words; a stretch of letters that no word is as long as counts as several, and
so does each ideograph, so that a passage fits the embedder whatever it holds. Invariant: passages
are in order, do not overlap, and hold every block. Pure; a change of what it returns raises
`reader.READER_VERSION`.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from indexes.reading.content import Block, Content, trim_span

WORD = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯]|\w+")
"""A word, or one character of Japanese, Chinese or Korean, which put no spaces between them."""
LINE_END = re.compile(r"\n")
PROSE_BREAK = re.compile(r"[.!?…。！？]+[\"'”’)\]]*\s+|\n\s*\n")
"""Where a block that is too long may be cut: at end marks, of abbreviations too, and blank lines.

Finer than the sentences of `models.text`: pieces are packed again, and a cut after "e.g." costs
nothing. Its rule is part of what an index holds; a change reads all documents again.
"""
LONG_WORD_CHARS = 16
"""A longer word counts as one more for each so many letters."""

MAX_OVERSIZE = 1.25
"""No passage exceeds the intended size by more than this factor."""
TINY_SHARE = 0.2
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
    """A block, or a part of one that is too long, with its size in words.

    `path` are the headings that it stands below; a heading (`heads`) has itself as the last one.
    """

    start: int
    end: int
    words: int
    path: tuple[str, ...]
    heads: bool


Section = list[_Piece]
Sized = tuple[int, int, int]
"""(start, end, words)"""


def cut_into_chunks(content: Content, words: int) -> list[Chunk]:
    """Cut a document into passages, in order, each of about `words` words and trimmed of space."""
    sections = _join_tiny(_split_sections(content, words), words)
    chunks = (_build_chunk(pieces) for section in sections for pieces in _pack(section, words))
    if not content.pages:
        return list(chunks)
    return [replace(chunk, page=bisect_right(content.pages, chunk.start) or 1) for chunk in chunks]


def count_words(text: str) -> int:
    """Count words as passages are measured."""
    return sum(1 + (len(word) - 1) // LONG_WORD_CHARS for word in WORD.findall(text))


def _split_sections(content: Content, words: int) -> Iterator[Section]:
    """Yield the pieces of each heading and of what follows it."""
    path: list[Block] = []
    section: Section = []
    for block in content.blocks:
        heads = block.kind == "heading"
        if heads:
            if section:
                yield section
            section = []
            path = [above for above in path if above.level < block.level] + [block]
        titles = tuple(above.title for above in path if above.title)
        for start, end, size in _cut_to_fit(content.text, block, words):
            section.append(_Piece(start, end, size, titles, heads))
    if section:
        yield section


def _join_tiny(sections: Iterator[Section], words: int) -> Iterator[Section]:
    """Join tiny sections (a heading alone, a line of text) with what follows them."""
    joined: Section = []
    for section in sections:
        joined = joined + section
        if _count_section(joined) >= TINY_SHARE * words:
            yield joined
            joined = []
    if joined:
        yield joined


def _count_section(section: Section) -> int:
    return sum(piece.words for piece in section)


def _pack(section: Section, words: int) -> Iterator[Section]:
    """Pack a section into even parts, as few as the intended size allows, so that none
    is a sliver.
    """
    max_size = MAX_OVERSIZE * words
    total = _count_section(section)
    even_size = total / max(1, math.ceil(total / max_size))
    part: Section = []
    size = 0
    for piece in section:
        if size and (size + piece.words / 2 > even_size or size + piece.words > max_size):
            yield part
            part, size = [], 0
        part.append(piece)
        size += piece.words
    yield part


def _build_chunk(pieces: Section) -> Chunk:
    """Build a passage; its headings are those that all its text stands below."""
    paths = [piece.path for piece in pieces if not piece.heads] or [piece.path for piece in pieces]
    levels = takewhile(lambda titles: len(set(titles)) == 1, zip(*paths, strict=False))
    heading = tuple(titles[0] for titles in levels)
    return Chunk(pieces[0].start, pieces[-1].end, heading)


def _cut_to_fit(text: str, block: Block, words: int) -> Iterator[Sized]:
    """Yield the block whole where it fits, else cut at sentence or line ends, else
    between words.
    """
    size = count_words(text[block.start : block.end])
    if size <= words:
        yield block.start, block.end, size
        return
    breaks = LINE_END if block.kind in ("code", "table") else PROSE_BREAK
    for start, end in _cut(text, block.start, block.end, breaks):
        size = count_words(text[start:end])
        if size <= words:
            yield start, end, size
        else:
            yield from _cut_between_words(text, start, end, words)


def _cut(text: str, start: int, end: int, breaks: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    stops = [match.end() for match in breaks.finditer(text, start, end)]
    for stop in [*stops, end]:
        if span := trim_span(text, start, stop):
            yield span
        start = stop


def _cut_between_words(text: str, start: int, end: int, words: int) -> Iterator[Sized]:
    size, begin = 0, start
    for stop, count in _word_stops(text, start, end, words):
        if size and size + count > words:
            if span := trim_span(text, start, begin):
                yield *span, size
            start, size = begin, 0
        size += count
        begin = stop
    if span := trim_span(text, start, end):
        yield *span, size


def _word_stops(text: str, start: int, end: int, words: int) -> Iterator[tuple[int, int]]:
    """Yield where a word ends, and its size; an endless word ends every so often."""
    longest = max(1, words // 2) * LONG_WORD_CHARS
    for match in WORD.finditer(text, start, end):
        for first in range(match.start(), match.end(), longest):
            stop = min(first + longest, match.end())
            yield stop, 1 + (stop - first - 1) // LONG_WORD_CHARS
