"""Markdown's marks, found by scanners that look at each character a bounded number of times.

Owns what `spoken` and `sentences` leave out: fenced code, links, pictures, emphasis. Texts may be
hostile, so no pattern here has two parts that could match the same characters.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from config.steps import spend
from graphs.templates.work import count_chars

_FENCES = ("```", "~~~")
# Within brackets and parentheses stands none that opens, so each search ends at the next one; an
# address may hold one pair, as in "https://en.wikipedia.org/wiki/Fox_(animal)".
_TARGET = r"\((?:[^()]++|\([^()]*+\))*+\)"
_PICTURE = re.compile(rf"!\[[^\[\]]*+\]{_TARGET}")
_LINK = re.compile(rf"\[([^\[\]]*+)\]{_TARGET}")
_NUMBERS = re.compile(r"\s?\[\d++(?:,\s*+\d++)*+\]")
_RULE = re.compile(r"^[ \t]*+(?:[-*_=][ \t]*+){3,}+$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*+(?:#{1,6}|[-*+]|\d++[.)]|>)[ \t]+", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}+")
_MARKS = re.compile(r"\n|\*++|`++|_++|~~+")
_HEADING = re.compile(r"^#{1,6}[ \t]++([^\n]++)$", re.MULTILINE)
_PASS_RATE = 10
"""Of one pattern over a whole text, beside copying it."""
_MARK_STEPS = 15
_BLOCK_CHARS = 32 * 1024


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading `#` from `start` to `end`, without its marks."""

    start: int
    end: int
    title: str


def find_headings(text: str, limit: int) -> list[Heading]:
    """Find the first headings of a text, at most `limit`."""
    count_chars(text, _PASS_RATE)
    headings: list[Heading] = []
    for match in _HEADING.finditer(text):
        title = match[1].rstrip(" \t").rstrip("#").rstrip(" \t")
        if title and len(headings) < limit:
            headings.append(Heading(match.start(), match.end(), title))
    return headings


def drop_fenced_code(text: str) -> str:
    """Leave out the blocks between fences; a fence that nothing closes is text."""
    if not any(fence in text for fence in _FENCES):
        return text
    lines = text.split("\n")
    spend(5 * len(lines))
    closing = {
        fence: deque(n for n, line in enumerate(lines) if line.rstrip() == fence)
        for fence in _FENCES
    }
    rest: list[str] = []
    number = 0
    while number < len(lines):
        ends = closing.get(lines[number][:3], deque())
        while ends and ends[0] <= number:
            ends.popleft()
        # Of a block, the line break behind it stays.
        number, line = (ends[0], "") if ends else (number, lines[number])
        rest.append(line)
        number += 1
    return "\n".join(rest)


def drop_marks(text: str) -> str:
    """Leave out all that is not said: pictures, addresses of links, emphasis, rules, numbers."""
    return _BLANK_LINES.sub("\n\n", "".join(map(_drop_in_block, _cut_blocks(text))))


def _drop_in_block(text: str) -> str:
    for pattern, replacement in (
        *((_PICTURE, ""), (_LINK, r"\1"), (_NUMBERS, "")),
        *((_RULE, ""), (_LINE_MARK, "")),
    ):
        count_chars(text, _PASS_RATE)
        text = pattern.sub(replacement, text)
    return _Emphasis(text).drop()


def _cut_blocks(text: str) -> Iterator[str]:
    """Cut a long text between paragraphs or lines: while a pattern is at work, no thread is."""
    start = 0
    while len(text) - start > _BLOCK_CHARS:
        end = text.rfind("\n\n", start, start + _BLOCK_CHARS)
        end = end if end > start else text.find("\n", start + _BLOCK_CHARS)
        if end == -1:
            break
        yield text[start:end]
        start = end
    yield text[start:]


@dataclass
class _Run:
    """Marks of one kind in a row, those that are not paired yet."""

    start: int
    end: int


@dataclass
class _Emphasis:
    """Pairs marks of emphasis and code within a line, and leaves them out."""

    text: str
    cuts: list[tuple[int, int]] = field(default_factory=list)
    opened: dict[str, list[_Run]] = field(default_factory=dict)
    """By kind, the runs of this line that a later one may close."""

    def drop(self) -> str:
        count_chars(self.text, _PASS_RATE)
        for match in _MARKS.finditer(self.text):
            spend(_MARK_STEPS)
            if match[0] == "\n":
                self.opened.clear()
            else:
                self._add(match[0], _Run(match.start(), match.end()))
        parts, end = [], 0
        for start, stop in sorted(self.cuts):
            parts.append(self.text[end:start])
            end = stop
        return "".join([*parts, self.text[end:]])

    def _add(self, marks: str, run: _Run) -> None:
        mark = marks[0]
        before = self.text[run.start - 1 : run.start] or " "
        after = self.text[run.end : run.end + 1] or " "
        opens, closes = not after.isspace(), not before.isspace()
        if mark == "_":
            opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
        if mark == "*" and before.isdigit() and after.isdigit():
            return  # a product
        # Code and what is struck out end with as many marks as they begin with.
        runs = self.opened.setdefault(marks if mark in "`~" else mark, [])
        while closes and runs and run.start < run.end:
            self._pair(runs, run)
        if opens and run.start < run.end:
            runs.append(run)

    def _pair(self, runs: list[_Run], run: _Run) -> None:
        opening = runs[-1]
        length = min(run.end - run.start, opening.end - opening.start)
        self.cuts += [(opening.end - length, opening.end), (run.start, run.start + length)]
        opening.end -= length
        run.start += length
        if opening.start == opening.end:
            runs.pop()
