"""Builds the lines of a PDF page from its words, those in ruled tables cell by cell.

Pure. What a ruled table is, and which cell a word stands in, is `pdf_grids`' matter; tables without
rules are `pdf_layout`'s. Lengths are in points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from indexes.formats.pdf_grids import Grid, find_grids
from indexes.formats.pdf_shapes import Rule
from indexes.formats.pdf_words import HYPHEN, Word

CELL_GAP = 1.6
"""Words further apart than this many letter heights stand in different cells."""
BASELINE_TOLERANCE = 0.2
"""In letter heights: words whose base lines differ by less are on one line."""
MIN_UNRULED_ROWS = 4
"""So many lines that each fill more columns than one are rows, though no rule parts them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; of more than one cell where wide gaps part it.

    `lefts` and `rights` are the edges of the cells. `table` numbers the ruled table of its page
    that the line is a row of; a row has a cell for each column then.
    """

    cells: tuple[str, ...]
    lefts: tuple[float, ...]
    rights: tuple[float, ...]
    bottom: float
    top: float
    base: float
    size: float
    bold: bool = False
    mono: bool = False
    table: int | None = None

    def split(self) -> Iterator[Line]:
        """Yield each cell as a line of its own."""
        for cell, left, right in zip(self.cells, self.lefts, self.rights, strict=True):
            yield replace(self, cells=(cell,), lefts=(left,), rights=(right,))

    @property
    def left(self) -> float:
        return self.lefts[0]

    @property
    def right(self) -> float:
        return self.rights[-1]

    @property
    def text(self) -> str:
        return " ".join(cell for cell in self.cells if cell)


def build_lines(words: Sequence[Word], rules: Sequence[Rule]) -> list[Line]:
    """Build the lines in the order of the page; a ruled table stands where its first word does."""
    grids = list(find_grids(rules))
    page_lines: list[Line] = []
    grid_words: dict[int, list[Word]] = {}
    for group in _group_by_line(words):
        free: list[Word] = []
        for word in group:
            at = next((number for number, grid in enumerate(grids) if word in grid), None)
            if at is None:
                free.append(word)
                continue
            if at not in grid_words:
                # Holds the table's place until all its words are known.
                page_lines.append(replace(_build_line([word]), table=at))
            grid_words.setdefault(at, []).append(word)
        if free:
            page_lines.append(_build_line(free))
    return [row for line in page_lines for row in _build_rows(line, grids, grid_words)]


def _group_by_line(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Group the words of each line; cells that are drawn one by one, left to right, are one."""
    group: list[Word] = []
    for word in words:
        if group and word.line != group[-1].line:
            level = abs(word.base - group[-1].base) < BASELINE_TOLERANCE * word.size
            if not level or word.left < group[-1].right:
                yield group
                group = []
        group.append(word)
    if group:
        yield group


def _build_line(words: Sequence[Word]) -> Line:
    # PDFium takes the words of pages upside down from their left to their right.
    words = sorted(words, key=lambda word: word.left) if _is_reversed(words) else words
    mono = all(word.mono for word in words)
    cells = [_space_code(words)] if mono else list(_split_cells(words))
    chars: Counter[tuple[float, float]] = Counter()
    for word in words:
        chars[word.size, word.base] += len(word.text)
    size, base = chars.most_common(1)[0][0]
    return Line(
        tuple(text for text, _, _ in cells),
        tuple(left for _, left, _ in cells),
        tuple(right for _, _, right in cells),
        min(word.bottom for word in words),
        max(word.top for word in words),
        base,
        size,
        all(word.bold for word in words),
        mono,
    )


def _is_reversed(words: Sequence[Word]) -> bool:
    return len(words) > 1 and all(after.right <= before.left for before, after in pairwise(words))


def _split_cells(words: Sequence[Word]) -> Iterator[tuple[str, float, float]]:
    """Yield text, left edge and right edge of what wide gaps part."""
    cell = [words[0]]
    for word in words[1:]:
        if word.left - cell[-1].right > CELL_GAP * word.size:
            yield " ".join(each.text for each in cell), cell[0].left, cell[-1].right
            cell = []
        cell.append(word)
    yield " ".join(each.text for each in cell), cell[0].left, cell[-1].right


def _space_code(words: Sequence[Word]) -> tuple[str, float, float]:
    """Join a line of code: all letters are as wide, and so its spaces can be counted."""
    first = words[0]
    width = max(0.1, (first.right - first.left) / len(first.text))
    text = first.text
    for before, word in pairwise(words):
        text += " " * max(1, min(80, round((word.left - before.right) / width))) + word.text
    return text, first.left, words[-1].right


def _build_rows(
    line: Line, grids: Sequence[Grid], grid_words: dict[int, list[Word]]
) -> Iterator[Line]:
    if line.table is None:
        yield line
        return
    grid = grids[line.table]
    row = replace(line, lefts=grid.columns[:-1], rights=grid.columns[1:])
    for height, band in grid.group_into_bands(grid_words[line.table]):
        lines = list(_group_by_line([word for _, word in band]))
        if len(lines) >= MIN_UNRULED_ROWS and len({column for column, _ in band}) == 1:
            yield from map(
                _build_line, lines
            )  # a frame around text, or around a table without rules
            continue
        for part in _split_unruled_rows(band):
            cells: list[list[str]] = [[] for _ in grid.columns[1:]]
            for column, word in part:
                cells[column].append(word.text)
            yield replace(row, cells=tuple(map(join_words, cells)), base=height)


def _split_unruled_rows(band: Sequence[tuple[int, Word]]) -> list[list[tuple[int, Word]]]:
    """Split what stands between two level rules: a row, or many where each line fills
    more columns.
    """
    rows: dict[int, list[tuple[int, Word]]] = {}
    for column, word in band:
        rows.setdefault(round(word.base), []).append((column, word))
    first = min(column for column, _ in band)
    filled = [{column for column, _ in row} for row in rows.values()]
    filled = [columns for columns in filled if first in columns]
    if len(filled) < MIN_UNRULED_ROWS or any(len(columns) < 2 for columns in filled):
        return [list(band)]
    split_rows: list[list[tuple[int, Word]]] = []
    for base in sorted(rows, reverse=True):
        if not split_rows or any(column == first for column, _ in rows[base]):
            split_rows.append([])
        split_rows[-1] += rows[base]
    return split_rows


def join_words(words: Iterable[str]) -> str:
    """Join words to running text: those broken at a line's end are whole again."""
    return " ".join(words).replace(f"{HYPHEN} ", "").replace(HYPHEN, "-")
