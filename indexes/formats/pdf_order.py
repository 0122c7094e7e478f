"""Sorts the lines of a PDF page as they are read, columns one after the other.

Pure. Programs mostly write a page in reading order; only where they evidently did not, the places
of the lines decide. Lengths are in points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from indexes.formats.pdf_lines import Line

MIN_MULTI_CELL_LINES = 6
"""So many lines of several cells may be columns of prose that were read across."""
MIN_PROSE_WORDS = 4.0
"""Columns of so many words a line are no table's."""
MAX_JUMP_SHARE = 0.05
"""With more of its lines jumping back up than this, a page's own order is not trusted."""
MAX_CUT_LINES = 2000
"""Cutting takes the square of the lines; longer pages are sorted from the top down."""


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
