"""Where sentences begin and end: the one splitter for prose, Markdown and text taken from HTML.

Owns the rules for end marks, abbreviations, wrapped lines, list items, tables and code. What a
sentence is worth (a claim, evidence, something to be said) is its users' business.
Invariants: spans are exact offsets into the text, in order, never overlapping, and the work is
linear in the length of the text, which may be hostile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

WRAPPED_CHARS = 50
"""A shorter line was not wrapped: its break was meant."""
MAX_CHARS = 700
"""A longer "sentence" is a listing; it is cut at its lines."""
ABBREVIATION_CHARS = 14
"""So much of the text before a full stop is searched for an abbreviation."""

_FENCE = re.compile(r"[ \t]*(```|~~~)")
_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]")
_UNDERLINE = re.compile(r"[ \t]*(=+|-+|~+|\^+)[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•·]|\(?\d{1,3}[.)]|\(?[a-z][.)])[ \t]+(?=\S)")
_ROW = re.compile(r"[ \t]*\|")
_RULE = re.compile(r"[ \t|:=*_+-]*$")
# An end mark with what closes after it, before a space; ideographic marks need none. Nothing here
# looks at a character twice: passages may be hostile.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_`]*+(?=\s|$)|[。！？]+[」』”]*")
_OPENS = re.compile(r"[\s\"'“‘«(\[*_`]*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|cf|vs|viz|al|approx|resp|dr|mr|mrs|ms|prof|st|sr|jr|fig|figs|eq|no|"
    r"nos|vol|sec|ch|pp|ver|dept|est|nr|hr|fr|ca|z\.b|d\.h|bzw|p\. ?ex)\.$",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?:^|[\s.])[A-Z]\.$")
_NUMBER = re.compile(r"\s*\d{1,3}\.")
_SPACE = re.compile(r"\s*")
_PARAGRAPH = re.compile(r"\n\s*\n\s*")


_Block = tuple[int, int, str]
"""Start, end and kind: prose, heading, row or code."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text[start:end]` of the passage. A heading says what follows, not what is so."""

    start: int
    end: int
    heading: bool = False


def split_sentences(text: str) -> list[Sentence]:
    """Find the sentences in order, trimmed; list items and table rows count as one each.

    Markers of lists, rules and fences belong to no sentence.
    """
    sentences: list[Sentence] = []
    for start, end, kind in _BlockCutter(text).cut():
        spans = _split_prose(text, start, end) if kind == "prose" else [(start, end)]
        for begin, stop in spans:
            for piece in _bound(text, begin, stop):
                if trimmed := _trim(text, *piece):
                    sentences.append(Sentence(*trimmed, kind == "heading"))
    return sentences


def find_sentence_ends(text: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Yield where sentences of running prose end, after the mark and what closes with it.

    Lines mean nothing here; a last sentence without an end mark has no end.
    """
    begin, stop = start, len(text) if end is None else end
    for mark in _END.finditer(text, start, stop):
        if _ends_sentence(text, begin, mark, stop):
            yield mark.end()
            begin = mark.end()


def find_prose_breaks(text: str, start: int = 0, end: int | None = None) -> list[int]:
    """Find where prose may be cut: where the next sentence or paragraph begins, in order."""
    stop = len(text) if end is None else end
    breaks = {match.end() for match in _PARAGRAPH.finditer(text, start, stop)}
    for sentence_end in find_sentence_ends(text, start, stop):
        space = _SPACE.match(text, sentence_end, stop)
        breaks.add(space.end() if space else sentence_end)
    return sorted(breaks)


def end_at_sentence(text: str) -> str:
    """Return a text that breaks off without the sentence it breaks off in.

    Headings that nothing follows any more go too. A text without a whole sentence stays as it is.
    """
    sentences = split_sentences(text)
    if sentences and not _has_end_mark(text, sentences[-1]):
        sentences.pop()
    while sentences and sentences[-1].heading:
        sentences.pop()
    return text[: sentences[-1].end] if sentences else text


def _has_end_mark(text: str, sentence: Sentence) -> bool:
    return any(
        mark.end() == sentence.end for mark in _END.finditer(text, sentence.start, sentence.end)
    )


class _BlockCutter:
    """Cuts a text into stretches that no sentence crosses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._blocks: list[_Block] = []
        self._prose_start: int | None = None
        """Where the prose under way begins."""
        self._above_chars = 0
        """The length of the line above, and below the greatest in the prose under way."""
        self._widest_chars = 0

    def cut(self) -> list[_Block]:
        lines = list(_lines(self._text))
        code: int | None = None
        for (start, end), below in zip(lines, chain(lines[1:], [None]), strict=False):
            if _FENCE.match(self._text, start, end):
                self._end_prose(start)
                if code is not None:
                    self._blocks.append((code, start, "code"))
                code = end if code is None else None
            elif code is None:
                self._add_line(start, end, _classify(self._text, start, end, below))
        self._end_prose(len(self._text))
        if code is not None:
            self._blocks.append((code, len(self._text), "code"))
        return self._blocks

    def _add_line(self, start: int, end: int, kind: str) -> None:
        item = _ITEM.match(self._text, start, end)
        if kind != "prose" or item or self._is_break_meant(start, end):
            self._end_prose(start)
        if kind == "prose":
            if self._prose_start is None:
                self._prose_start, self._widest_chars = item.end() if item else start, 0
            self._above_chars = end - start
            self._widest_chars = max(self._widest_chars, self._above_chars)
        elif kind != "none":
            self._blocks.append((start, end, kind))

    def _end_prose(self, end: int) -> None:
        if self._prose_start is not None:
            self._blocks.append((self._prose_start, end, "prose"))
        self._prose_start = None

    def _is_break_meant(self, start: int, end: int) -> bool:
        """Tell whether the break before this line was meant, and did not come from wrapping.

        A wrapped line is not short, and its next word would not have fitted.
        """
        first = self._text[start:end].split(maxsplit=1)[:1]
        if self._prose_start is None or not first or first[0][0].islower():
            return False
        widest = max(self._widest_chars, end - start)
        short = self._above_chars < WRAPPED_CHARS
        return short or self._above_chars + 1 + len(first[0]) <= widest


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line.rstrip("\r\n"))
        start += len(line)


def _classify(text: str, start: int, end: int, below: tuple[int, int] | None) -> str:
    if not text[start:end].strip() or _RULE.match(text, start, end):
        return "none"
    if _HEADING.match(text, start, end):
        return "heading"
    underlined = below and below[1] > below[0] and _UNDERLINE.match(text, *below)
    if underlined and not _ITEM.match(text, start, end):
        return "heading"
    return "row" if _ROW.match(text, start, end) else "prose"


def _split_prose(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for stop in find_sentence_ends(text, start, end):
        yield begin, stop
        begin = stop
    yield begin, end


def _ends_sentence(text: str, begin: int, mark: re.Match[str], end: int) -> bool:
    """Tell whether the mark ends a sentence; a full stop may belong to an abbreviation."""
    opens = _OPENS.match(text, mark.end(), end)
    follow = opens.end() if opens else mark.end()
    follows = text[follow : min(follow + 1, end)]
    if not follows or mark.group()[0] in "。！？":
        return True
    if follows.islower():
        return False
    if mark.group() != ".":
        return True
    before = text[max(begin, mark.end() - ABBREVIATION_CHARS) : mark.end()]
    if _ABBREVIATION.search(before) or _INITIAL.search(before):
        return False
    # "etc." ends a sentence before a capital; "1." begins a list.
    return not _NUMBER.fullmatch(text, begin, mark.end())


def _bound(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_CHARS:
        cut = text.rfind("\n", start + 1, start + MAX_CHARS)
        cut = cut if cut > start else text.rfind(" ", start + 1, start + MAX_CHARS)
        cut = cut if cut > start else start + MAX_CHARS
        yield start, cut
        start = cut
    yield start, end


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end = start + len(piece.strip())
    return (start, end) if end > start else None
