"""Turns the lines of PDF pages into stretches: furniture dropped, in reading order, kept apart.

Owns what a header or footer is, the order of columns, and where paragraphs, lists, code and tables
without rules begin and end. Which stretch is a heading is `pdf_headings`' matter. Lengths are in
points, or in letter heights where that is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from statistics import median
from typing import Literal

from indexes.formats.pdf_lines import Line

StretchKind = Literal["text", "list", "code", "table"]

EDGE_LINES = 3
"""Headers and footers are among this many lines from the upper and lower end of a page."""
FURNITURE_SHARE = 0.5
"""A line that so many of the pages repeat is furniture,"""
MIN_REPEATS = 3
"""and no fewer pages than this."""
MAX_NUMBERED_SIZE = 1.05
"""Of the body's letter height: what is larger is a numbered heading, no page number."""
NUMBER = re.compile(r"(?<!\S)\d+(?!\S)")
BULLET = re.compile(r"(?:[•‣◦▪▫●○■□▶►➢➤✓❖∙·–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s+\S")
"""A bullet, a dash, or a number or letter with a bracket or full stop, before an item."""
SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
MIN_MULTI_CELL_LINES = 6
"""So many lines of several cells may be columns of prose that were read across."""
MIN_PROSE_WORDS = 4.0
"""Columns of so many words a line are no table's."""
MAX_JUMP_SHARE = 0.05
"""With more of its lines jumping back up than this, a page's own order is not trusted."""
MAX_CUT_LINES = 2000
"""Cutting takes the square of the lines; longer pages are sorted from the top down."""
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


def drop_furniture(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Drop the headers and footers that most pages repeat, and page numbers."""
    sizes: Counter[float] = Counter()
    for line in chain(*pages):
        sizes[line.size] += len(line.text)
    body = max(sizes, key=sizes.__getitem__, default=0.0)
    edges = [_find_edge_lines(lines) for lines in pages]
    keys = [
        {number: _repetition_keys(line, page, body) for number, line in page_edges.items()}
        for page, page_edges in enumerate(edges)
    ]
    counts = Counter(key for page_edges in keys for key in set(chain(*page_edges.values())))
    least = max(MIN_REPEATS, FURNITURE_SHARE * sum(map(bool, pages)))
    cleaned = [
        [
            line
            for number, line in enumerate(lines)
            if all(counts[key] < least for key in page_edges.get(number, ()))
        ]
        for lines, page_edges in zip(pages, keys, strict=True)
    ]
    # Forms repeat all that they say.
    return cleaned if any(cleaned) else list(pages)


def _find_edge_lines(lines: Sequence[Line]) -> dict[int, Line]:
    """Return the lines near to the ends of a page, by their number."""
    order = sorted(range(len(lines)), key=lambda number: -lines[number].top)
    edges = {*order[:EDGE_LINES], *order[::-1][:EDGE_LINES]}
    return {number: lines[number] for number in edges if lines[number].table is None}


def _repetition_keys(line: Line, page: int, body: float) -> set[object]:
    """Return what a line has in common with its like on other pages.

    That is its place and size with its words, where one number may count with the pages, or with
    such a number alone at its end.
    """
    at = round(line.size), round(line.base, -1)
    text = line.text.casefold()
    keys: set[object] = {(*at, text)}
    if line.size > MAX_NUMBERED_SIZE * body:
        return keys  # page numbers are not, but numbered headings are
    for match in NUMBER.finditer(text):
        away = int(match[0][:9]) - page
        keys.add((*at, text[: match.start()], away, text[match.end() :]))
        if match.start() == 0 or match.end() == len(text):
            keys.add((*at, away))
    return keys


def sort_for_reading(lines: list[Line]) -> list[Line]:
    """Sort a page's lines as they are read.

    The page's own order stays unless it jumps up and down or goes across columns of prose.
    """
    if _runs_across_columns(lines):
        return list(_cut_recursively([part for line in lines for part in _split_line(line)]))
    jumps = sum(
        after.bottom > before.top and after.left < before.right for before, after in pairwise(lines)
    )
    if jumps < 2 or jumps <= MAX_JUMP_SHARE * len(lines):
        return lines
    if len(lines) > MAX_CUT_LINES:
        return sorted(lines, key=lambda line: (-line.top, line.left))
    return list(_cut_recursively(lines))


def _runs_across_columns(lines: Sequence[Line]) -> bool:
    """Tell whether most lines are of several cells with as many words as only prose has."""
    wide = [line for line in lines if len(line.cells) > 1 and line.table is None]
    words = sum(line.text.count(" ") + 1 for line in wide)
    cells = sum(len(line.cells) for line in wide)
    return (
        len(wide) >= max(MIN_MULTI_CELL_LINES, len(lines) / 2) and words >= MIN_PROSE_WORDS * cells
    )


def _split_line(line: Line) -> Iterator[Line]:
    return line.split() if line.table is None else iter([line])


def _cut_recursively(lines: list[Line]) -> Iterator[Line]:
    """Yield lines along gutters that no line crosses, else along the widest gap between lines.

    This is the recursive X-Y cut (Nagy, Seth and Viswanathan, 1992), columns first.
    """
    stack = [lines]
    while stack:
        part = stack.pop()
        if len(part) < 2:
            yield from part
            continue
        width = median(line.size for line in part)
        across = sorted((line.left, line.right, number) for number, line in enumerate(part))
        halves = _split_at_widest_gap(across, at_least=width)
        if halves is None or min(map(len, halves)) < 2:
            down = sorted((-line.top, -line.bottom, number) for number, line in enumerate(part))
            halves = _split_at_widest_gap(down, at_least=-width) or halves
        if halves is None:
            yield from sorted(part, key=lambda line: (-line.top, line.left))
        else:
            stack += [[part[number] for number in half] for half in reversed(halves)]


def _split_at_widest_gap(
    spans: Sequence[tuple[float, float, int]], at_least: float
) -> tuple[list[int], list[int]] | None:
    """Split spans at the widest gap between them; None where none is wider than `at_least`.

    Spans are (start, end, number) in order of their starts; the halves hold their numbers.
    """
    best, cut, reach = at_least, 0, spans[0][1]
    for number, (start, end, _) in enumerate(spans):
        if number and start - reach > best:
            best, cut = start - reach, number
        reach = max(reach, end)
    if not cut:
        return None
    numbers = [number for _, _, number in spans]
    return numbers[:cut], numbers[cut:]


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
