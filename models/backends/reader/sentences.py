"""Where the sentences of a passage are: prose, Markdown and text taken from HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

WRAPPED_CHARS = 50
MAX_CHARS = 700  # a longer "sentence" is a listing; it is cut at its lines

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
    r"(?:^|[\s(\[])(?:e\.g|i\.e|cf|vs|viz|al|approx|resp|dr|mr|mrs|ms|prof|st|fig|figs|eq|no|nos|"
    r"vol|sec|ch|pp|ver|dept|est|z\.b|d\.h|bzw|p\. ?ex)\.$",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?:^|[\s.])[A-Z]\.$")


_Block = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text[start:end]` of the passage. A heading says what follows, not what is so."""

    start: int
    end: int
    heading: bool = False


def sentences(text: str) -> list[Sentence]:
    """The sentences in order, trimmed, never overlapping; list items and table rows count as one.

    Markers of lists, rules and fences belong to no sentence.
    """
    found: list[Sentence] = []
    for start, end, kind in _Blocks(text).cut():
        spans = _in_prose(text, start, end) if kind == "prose" else [(start, end)]
        for begin, stop in spans:
            for piece in _bounded(text, begin, stop):
                if trimmed := _trimmed(text, *piece):
                    found.append(Sentence(*trimmed, kind == "heading"))
    return found


class _Blocks:
    """Cuts a text into stretches that no sentence crosses: (start, end, kind)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[_Block] = []
        self._prose: int | None = None  # where the prose under way begins
        self._above = 0  # the length of the line above, and the greatest in this prose
        self._width = 0

    def cut(self) -> list[_Block]:
        lines = list(_lines(self._text))
        code: int | None = None
        for (start, end), below in zip(lines, chain(lines[1:], [None]), strict=False):
            if _FENCE.match(self._text, start, end):
                self._end_prose(start)
                if code is not None:
                    self._found.append((code, start, "code"))
                code = end if code is None else None
            elif code is None:
                self._line(start, end, _kind(self._text, start, end, below))
        self._end_prose(len(self._text))
        if code is not None:
            self._found.append((code, len(self._text), "code"))
        return self._found

    def _line(self, start: int, end: int, kind: str) -> None:
        item = _ITEM.match(self._text, start, end)
        if kind != "prose" or item or self._meant(start, end):
            self._end_prose(start)
        if kind == "prose":
            if self._prose is None:
                self._prose, self._width = item.end() if item else start, 0
            self._above = end - start
            self._width = max(self._width, self._above)
        elif kind != "none":
            self._found.append((start, end, kind))

    def _end_prose(self, end: int) -> None:
        if self._prose is not None:
            self._found.append((self._prose, end, "prose"))
        self._prose = None

    def _meant(self, start: int, end: int) -> bool:
        """Whether the break before this line was meant, and did not come from wrapping.

        A wrapped line is not short, and its next word would not have fitted.
        """
        first = self._text[start:end].split(maxsplit=1)[:1]
        if self._prose is None or not first or first[0][0].islower():
            return False
        widest = max(self._width, end - start)
        return self._above < WRAPPED_CHARS or self._above + 1 + len(first[0]) <= widest


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line.rstrip("\r\n"))
        start += len(line)


def _kind(text: str, start: int, end: int, below: tuple[int, int] | None) -> str:
    if not text[start:end].strip() or _RULE.match(text, start, end):
        return "none"
    if _HEADING.match(text, start, end):
        return "heading"
    underlined = below and below[1] > below[0] and _UNDERLINE.match(text, *below)
    if underlined and not _ITEM.match(text, start, end):
        return "heading"
    return "row" if _ROW.match(text, start, end) else "prose"


def _in_prose(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for mark in _END.finditer(text, start, end):
        if _ends(text, begin, mark, end):
            yield begin, mark.end()
            begin = mark.end()
    yield begin, end


def _ends(text: str, begin: int, mark: re.Match[str], end: int) -> bool:
    """Whether the mark ends a sentence; a full stop may belong to an abbreviation."""
    opens = _OPENS.match(text, mark.end(), end)
    follows = text[opens.end() if opens else mark.end() : end][:1]
    if not follows or mark.group()[0] in "。！？":
        return True
    if follows.islower():
        return False
    if mark.group() != ".":
        return True
    before = text[max(begin, mark.end() - 14) : mark.end()]
    if _ABBREVIATION.search(before) or _INITIAL.search(before):
        return False
    # "etc." ends a sentence before a capital; "1." begins a list.
    return not re.fullmatch(r"\s*\d{1,3}\.", text[begin : mark.end()])


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_CHARS:
        cut = text.rfind("\n", start + 1, start + MAX_CHARS)
        cut = cut if cut > start else text.rfind(" ", start + 1, start + MAX_CHARS)
        cut = cut if cut > start else start + MAX_CHARS
        yield start, cut
        start = cut
    yield start, end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end = start + len(piece.strip())
    return (start, end) if end > start else None
