"""Cuts the lines of a PDF page into stretches: paragraphs, headings, items, tables, code.

Pure. Owns where each of them begins and ends, and tables without rules. Which stretch is a heading
is `pdf_headings`' matter. Lengths are in points, or in letter heights where that is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal

from indexes.formats.pdf_lines import Line

StretchKind = Literal["text", "list", "code", "table"]

BULLET = re.compile(r"(?:[•‣◦▪▫●○■□▶►➢➤✓❖∙·–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s+\S")
"""A bullet, a dash, or a number or letter with a bracket or full stop, before an item."""
SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
PARAGRAPH_GAP = 0.35
"""So much more than between usual lines, in letter heights, is between paragraphs."""
MIN_INDENT = 0.8
"""In letter heights: a first line set in by this begins a paragraph."""
DEFAULT_STEP = 1.2
"""In letter heights from line to line, on a page that does not tell."""
MAX_USUAL_STEP = 1.9
"""In letter heights: lines further apart are paragraphs of one line each."""
SIZE_TOLERANCE = 0.06
"""Letters that differ by more than this share are of another size."""


@dataclass(slots=True)
class Stretch:
    """Lines that belong together: a paragraph, a heading, an item, a table or a piece of code."""

    kind: StretchKind
    lines: list[Line] = field(default_factory=list)

    @property
    def size(self) -> float:
        return self.lines[0].size

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)


def split_stretches(
    lines: Sequence[Line], headings: Sequence[tuple[int, int]] = ()
) -> list[Stretch]:
    """Cut a page into stretches.

    `headings` are (first, last + 1) of lines known to be such: each is a stretch of its own.
    """
    usual = _measure_usual_step(lines)
    begins = dict(headings)
    page_stretches: list[Stretch] = []
    number = 0
    while number < len(lines):
        if number in begins:
            page_stretches.append(Stretch("text", list(lines[number : begins[number]])))
            number = begins[number]
            page_stretches.append(Stretch("text"))  # nothing joins a heading
        elif (end := _find_table_end(lines, number)) > number:
            page_stretches.append(Stretch("table", list(lines[number:end])))
            number = end
        else:
            _add_line(page_stretches, lines[number], usual)
            number += 1
    return [stretch for stretch in page_stretches if stretch.lines]


def _add_line(page_stretches: list[Stretch], line: Line, usual: float) -> None:
    kind = _stretch_kind(line)
    last = page_stretches[-1] if page_stretches else None
    if last is None or not last.lines or _begins_stretch(last, line, kind, usual):
        page_stretches.append(Stretch(kind, [line]))
    else:
        last.lines.append(line)


def _stretch_kind(line: Line) -> StretchKind:
    if line.mono:
        return "code"
    return "list" if BULLET.match(line.text) else "text"


def _begins_stretch(last: Stretch, line: Line, kind: StretchKind, usual: float) -> bool:
    """Tell whether a line begins a new stretch."""
    before = last.lines[-1]
    if kind == "code" and last.kind in ("text", "list") and _continues_prose(before, line, usual):
        return False  # no code, but the names that a sentence ends with
    if "code" in (kind, last.kind):
        return kind != last.kind
    if kind == "list" or last.kind == "table":
        return True
    if abs(line.size - before.size) > SIZE_TOLERANCE * before.size or line.bold != last.bold:
        return True
    ended = bool(SENTENCE_END.search(before.text))
    if line.base > before.base:  # the next column: a sentence may go on there
        return ended
    step = before.base - line.base
    indented = last.kind == "text" and line.left - before.left > MIN_INDENT * line.size
    return step > (usual + PARAGRAPH_GAP) * line.size or (ended and indented)


def _continues_prose(before: Line, line: Line, usual: float) -> bool:
    """Tell whether a line of code letters goes on with a sentence before it."""
    near = 0 < before.base - line.base <= (usual + PARAGRAPH_GAP) * line.size
    aligned = abs(line.left - before.left) < MIN_INDENT * line.size
    return near and aligned and not before.mono and not SENTENCE_END.search(before.text)


def _measure_usual_step(lines: Sequence[Line]) -> float:
    """Measure the usual distance from line to line, in letter heights."""
    steps = [
        (before.base - after.base) / after.size
        for before, after in pairwise(lines)
        if 0 < before.base - after.base < 3 * after.size
    ]
    # Paragraphs of one line each would make their own distance the usual one.
    return min(median(steps), MAX_USUAL_STEP) if steps else DEFAULT_STEP


def _find_table_end(lines: Sequence[Line], start: int) -> int:
    """Return the number of the line after the table that begins at `start`; `start` without one."""
    end = start
    if lines[start].table is not None:
        while end < len(lines) and lines[end].table == lines[start].table:
            end += 1
        return end
    end += 1
    while end < len(lines) and _share_columns(lines[end - 1], lines[end]):
        end += 1
    cells = sum(len(line.cells) for line in lines[start:end])
    return end if end - start >= 2 and cells >= 5 else start


def _share_columns(before: Line, after: Line) -> bool:
    """Tell whether two lines are rows of one table that nothing rules."""
    if min(len(before.cells), len(after.cells)) < 2 or after.mono or after.table is not None:
        return False
    if not 0 < before.base - after.base < 3 * after.size:
        return False
    shared = sum(
        any(abs(left - other) < after.size for other in before.lefts) for left in after.lefts
    )
    aligned_right = abs(before.right - after.right) < after.size
    return shared + aligned_right >= 2


def align_rows(stretch: Stretch) -> list[list[str]]:
    """Return a table's rows, each with a cell for each column."""
    if stretch.lines[0].table is not None:
        return [list(line.cells) for line in stretch.lines]
    widest = max(stretch.lines, key=lambda line: len(line.cells))
    aligned = []
    for line in stretch.lines:
        row = [""] * len(widest.cells)
        for cell, left in zip(line.cells, line.lefts, strict=True):
            nearest = min(range(len(row)), key=lambda at: abs(widest.lefts[at] - left))
            row[nearest] = f"{row[nearest]} {cell}".strip()
        aligned.append(row)
    return aligned
