"""From the lines of PDF pages to stretches: furniture dropped, in reading order, kept apart."""

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
"""Headers and footers stand this near to the upper and lower end of a page."""
MOST_PAGES = 0.5
MIN_REPEATS = 3
NO_LARGER = 1.05
NUMBER = re.compile(r"(?<!\S)\d+(?!\S)")
BULLET = re.compile(r"(?:[•‣◦▪▫●○■□▶►➢➤✓❖∙·–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s+\S")
SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
MIN_PROSE_LINES = 6
PROSE_WORDS = 4.0
"""Columns of so many words a line are no table's."""
JUMPS = 0.05
"""With more of its lines jumping back up than this, a page's own order is not trusted."""
MAX_CUT_LINES = 2000
APART = 0.35
"""So much more than between usual lines, in letter heights, is between paragraphs."""
INDENT = 0.8
USUAL_STEP = 1.2
MOST_STEP = 1.9
OTHER_SIZE = 0.06


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


def without_furniture(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """The pages without the headers and footers that most of them repeat, and page numbers."""
    sizes: Counter[float] = Counter()
    for line in chain(*pages):
        sizes[line.size] += len(line.text)
    body = max(sizes, key=sizes.__getitem__, default=0.0)
    edges = [_edge_lines(lines) for lines in pages]
    keys = [
        {number: _keys(line, page, body) for number, line in found.items()}
        for page, found in enumerate(edges)
    ]
    counts = Counter(key for found in keys for key in set(chain(*found.values())))
    least = max(MIN_REPEATS, MOST_PAGES * sum(map(bool, pages)))
    cleaned = [
        [
            line
            for number, line in enumerate(lines)
            if all(counts[key] < least for key in found.get(number, ()))
        ]
        for lines, found in zip(pages, keys, strict=True)
    ]
    # Forms repeat all that they say.
    return cleaned if any(cleaned) else list(pages)


def _edge_lines(lines: Sequence[Line]) -> dict[int, Line]:
    """The lines near to the ends of a page, by their number."""
    order = sorted(range(len(lines)), key=lambda number: -lines[number].top)
    edges = {*order[:EDGE_LINES], *order[::-1][:EDGE_LINES]}
    return {number: lines[number] for number in edges if lines[number].table is None}


def _keys(line: Line, page: int, body: float) -> set[object]:
    """What a line has in common with its like on other pages: its place and size with its words,
    where one number may count with the pages, or with such a number alone at its end."""
    at = round(line.size), round(line.base, -1)
    text = line.text.casefold()
    keys: set[object] = {(*at, text)}
    if line.size > NO_LARGER * body:
        return keys  # page numbers are not, but numbered headings are
    for match in NUMBER.finditer(text):
        away = int(match[0][:9]) - page
        keys.add((*at, text[: match.start()], away, text[match.end() :]))
        if match.start() == 0 or match.end() == len(text):
            keys.add((*at, away))
    return keys


def in_reading_order(lines: list[Line]) -> list[Line]:
    """The page's own order, unless it jumps up and down or goes across columns of prose."""
    if _across_columns(lines):
        return list(_cut([part for line in lines for part in _parts(line)]))
    jumps = sum(
        after.bottom > before.top and after.left < before.right for before, after in pairwise(lines)
    )
    if jumps < 2 or jumps <= JUMPS * len(lines):
        return lines
    if len(lines) > MAX_CUT_LINES:
        return sorted(lines, key=lambda line: (-line.top, line.left))
    return list(_cut(lines))


def _across_columns(lines: Sequence[Line]) -> bool:
    """Whether most lines are of several cells with as many words as only prose has."""
    wide = [line for line in lines if len(line.cells) > 1 and line.table is None]
    words = sum(line.text.count(" ") + 1 for line in wide)
    cells = sum(len(line.cells) for line in wide)
    return len(wide) >= max(MIN_PROSE_LINES, len(lines) / 2) and words >= PROSE_WORDS * cells


def _parts(line: Line) -> Iterator[Line]:
    return line.split() if line.table is None else iter([line])


def _cut(lines: list[Line]) -> Iterator[Line]:
    """Along gutters that no line crosses, else along the widest gap between lines."""
    stack = [lines]
    while stack:
        part = stack.pop()
        if len(part) < 2:
            yield from part
            continue
        width = median(line.size for line in part)
        across = sorted((line.left, line.right, number) for number, line in enumerate(part))
        halves = _halves(across, at_least=width)
        if halves is None or min(map(len, halves)) < 2:
            down = sorted((-line.top, -line.bottom, number) for number, line in enumerate(part))
            halves = _halves(down, at_least=-width) or halves
        if halves is None:
            yield from sorted(part, key=lambda line: (-line.top, line.left))
        else:
            stack += [[part[number] for number in half] for half in reversed(halves)]


def _halves(
    spans: Sequence[tuple[float, float, int]], at_least: float
) -> tuple[list[int], list[int]] | None:
    """The spans on both sides of the widest gap between them."""
    best, cut, reach = at_least, 0, spans[0][1]
    for number, (start, end, _) in enumerate(spans):
        if number and start - reach > best:
            best, cut = start - reach, number
        reach = max(reach, end)
    if not cut:
        return None
    numbers = [number for _, _, number in spans]
    return numbers[:cut], numbers[cut:]


def stretches(lines: Sequence[Line], headings: Sequence[tuple[int, int]] = ()) -> list[Stretch]:
    """The page cut into stretches. `headings` are (first, last + 1) of lines known to be such."""
    usual = _usual_step(lines)
    begins = dict(headings)
    found: list[Stretch] = []
    number = 0
    while number < len(lines):
        if number in begins:
            found.append(Stretch("text", list(lines[number : begins[number]])))
            number = begins[number]
            found.append(Stretch("text"))  # nothing joins a heading
        elif (end := _table_end(lines, number)) > number:
            found.append(Stretch("table", list(lines[number:end])))
            number = end
        else:
            _place(found, lines[number], usual)
            number += 1
    return [stretch for stretch in found if stretch.lines]


def _place(found: list[Stretch], line: Line, usual: float) -> None:
    kind = _kind(line)
    last = found[-1] if found else None
    if last is None or not last.lines or _parted(last, line, kind, usual):
        found.append(Stretch(kind, [line]))
    else:
        last.lines.append(line)


def _kind(line: Line) -> StretchKind:
    if line.mono:
        return "code"
    return "list" if BULLET.match(line.text) else "text"


def _parted(last: Stretch, line: Line, kind: StretchKind, usual: float) -> bool:
    """Whether a line begins a new stretch."""
    before = last.lines[-1]
    if kind == "code" and last.kind in ("text", "list") and _goes_on(before, line, usual):
        return False  # no code, but the names that a sentence ends with
    if "code" in (kind, last.kind):
        return kind != last.kind
    if kind == "list" or last.kind == "table":
        return True
    if abs(line.size - before.size) > OTHER_SIZE * before.size or line.bold != last.bold:
        return True
    ended = bool(SENTENCE_END.search(before.text))
    if line.base > before.base:  # the next column: a sentence may go on there
        return ended
    step = before.base - line.base
    indented = last.kind == "text" and line.left - before.left > INDENT * line.size
    return step > (usual + APART) * line.size or (ended and indented)


def _goes_on(before: Line, line: Line, usual: float) -> bool:
    near = 0 < before.base - line.base <= (usual + APART) * line.size
    aligned = abs(line.left - before.left) < INDENT * line.size
    return near and aligned and not before.mono and not SENTENCE_END.search(before.text)


def _usual_step(lines: Sequence[Line]) -> float:
    """From line to line, in letter heights."""
    steps = [
        (before.base - after.base) / after.size
        for before, after in pairwise(lines)
        if 0 < before.base - after.base < 3 * after.size
    ]
    # Paragraphs of one line each would make their own distance the usual one.
    return min(median(steps), MOST_STEP) if steps else USUAL_STEP


def _table_end(lines: Sequence[Line], start: int) -> int:
    """Where the table ends that begins at `start`; `start` where none does."""
    end = start
    if lines[start].table is not None:
        while end < len(lines) and lines[end].table == lines[start].table:
            end += 1
        return end
    end += 1
    while end < len(lines) and _same_columns(lines[end - 1], lines[end]):
        end += 1
    cells = sum(len(line.cells) for line in lines[start:end])
    return end if end - start >= 2 and cells >= 5 else start


def _same_columns(before: Line, after: Line) -> bool:
    """Whether two lines are rows of one table that nothing rules."""
    if min(len(before.cells), len(after.cells)) < 2 or after.mono or after.table is not None:
        return False
    if not 0 < before.base - after.base < 3 * after.size:
        return False
    shared = sum(
        any(abs(left - other) < after.size for other in before.lefts) for left in after.lefts
    )
    aligned_right = abs(before.right - after.right) < after.size
    return shared + aligned_right >= 2


def rows(stretch: Stretch) -> list[list[str]]:
    """A table's rows, each with a cell for each column."""
    if stretch.lines[0].table is not None:
        return [list(line.cells) for line in stretch.lines]
    widest = max(stretch.lines, key=lambda line: len(line.cells))
    found = []
    for line in stretch.lines:
        row = [""] * len(widest.cells)
        for cell, left in zip(line.cells, line.lefts, strict=True):
            nearest = min(range(len(row)), key=lambda at: abs(widest.lefts[at] - left))
            row[nearest] = f"{row[nearest]} {cell}".strip()
        found.append(row)
    return found
