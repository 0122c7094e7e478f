"""The lines of a PDF page, those in ruled tables cell by cell."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from indexes.formats.pdf_words import HYPHEN, Rule, Word

GAP = 1.6
"""Words further apart than this many letter heights stand in different cells."""
LEVEL = 0.2
TOUCHING = 3.0
MIN_UNRULED = 4
"""So many lines that each fill more columns than one are rows, though no rule parts them."""
MIN_EDGES = 3
"""Two rows, or two columns, have three edges."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; of more than one cell where wide gaps part it.

    `table` numbers the ruled table of its page that the line is a row of; a row has a cell for
    each column then.
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
        """Each cell as a line of its own."""
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


def lines(words: Sequence[Word], rules: Sequence[Rule]) -> list[Line]:
    """The lines in the order of the page; a ruled table stands where its first word does."""
    grids = list(_grids(rules))
    found: list[Line] = []
    places: dict[int, list[Word]] = {}
    for group in _level(words):
        free: list[Word] = []
        for word in group:
            at = next((number for number, grid in enumerate(grids) if word in grid), None)
            if at is None:
                free.append(word)
                continue
            if at not in places:
                # Holds the table's place until all its words are known.
                found.append(replace(_line([word]), table=at))
            places.setdefault(at, []).append(word)
        if free:
            found.append(_line(free))
    return [row for line in found for row in _rows(line, grids, places)]


def _level(words: Sequence[Word]) -> Iterator[list[Word]]:
    """The words of each line; cells that are drawn one by one, from left to right, are one."""
    held: list[Word] = []
    for word in words:
        if held and word.line != held[-1].line:
            level = abs(word.base - held[-1].base) < LEVEL * word.size
            if not level or word.left < held[-1].right:
                yield held
                held = []
        held.append(word)
    if held:
        yield held


def _line(words: Sequence[Word]) -> Line:
    # PDFium takes the words of pages upside down from their left to their right.
    words = sorted(words, key=lambda word: word.left) if _backward(words) else words
    mono = all(word.mono for word in words)
    cells = [_spaced(words)] if mono else list(_cells(words))
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


def _backward(words: Sequence[Word]) -> bool:
    return len(words) > 1 and all(after.right <= before.left for before, after in pairwise(words))


def _cells(words: Sequence[Word]) -> Iterator[tuple[str, float, float]]:
    """(text, left edge, right edge) of what wide gaps part."""
    held = [words[0]]
    for word in words[1:]:
        if word.left - held[-1].right > GAP * word.size:
            yield " ".join(each.text for each in held), held[0].left, held[-1].right
            held = []
        held.append(word)
    yield " ".join(each.text for each in held), held[0].left, held[-1].right


def _spaced(words: Sequence[Word]) -> tuple[str, float, float]:
    """A line of code: all letters are as wide, and so its spaces can be counted."""
    first = words[0]
    width = max(0.1, (first.right - first.left) / len(first.text))
    text = first.text
    for before, word in pairwise(words):
        text += " " * max(1, min(80, round((word.left - before.right) / width))) + word.text
    return text, first.left, words[-1].right


def _rows(line: Line, grids: Sequence[_Grid], places: dict[int, list[Word]]) -> Iterator[Line]:
    if line.table is None:
        yield line
        return
    grid = grids[line.table]
    row = replace(line, lefts=grid.columns[:-1], rights=grid.columns[1:])
    for height, band in grid.bands(places[line.table]):
        lines = list(_level([word for _, word in band]))
        if len(lines) >= MIN_UNRULED and len({column for column, _ in band}) == 1:
            yield from map(_line, lines)  # a frame around text, or around a table without rules
            continue
        for part in _unruled_rows(band):
            cells: list[list[str]] = [[] for _ in grid.columns[1:]]
            for column, word in part:
                cells[column].append(word.text)
            yield replace(row, cells=tuple(map(joined, cells)), base=height)


@dataclass(frozen=True, slots=True)
class _Grid:
    """A ruled table: the edges of its columns, and of its rows from the bottom up."""

    columns: tuple[float, ...]
    heights: tuple[float, ...]
    uprights: tuple[Rule, ...]
    levels: tuple[Rule, ...]

    def __contains__(self, word: Word) -> bool:
        x, y = word.middle
        return self.columns[0] <= x <= self.columns[-1] and self.heights[0] <= y <= self.heights[-1]

    def bands(self, words: Iterable[Word]) -> Iterator[tuple[float, list[tuple[int, Word]]]]:
        """(upper edge, words with their columns) between level rules, from the top down."""
        bands: dict[int, list[tuple[int, Word]]] = {}
        for word in words:
            x, y = word.middle
            # Only a rule that passes the word bounds its cell: cells may span others.
            column = self._place(self.columns, self.uprights, x, y)
            bands.setdefault(self._place(self.heights, self.levels, y, x), []).append(
                (column, word)
            )
        for height in sorted(bands, reverse=True):
            yield self.heights[height], bands[height]

    @staticmethod
    def _place(edges: Sequence[float], rules: Sequence[Rule], along: float, across: float) -> int:
        passed = [
            rule.at
            for rule in rules
            if rule.at <= along and rule.start - TOUCHING <= across <= rule.end + TOUCHING
        ]
        edge = max(passed, default=edges[0])
        return max(0, min(len(edges) - 2, bisect_right(edges, edge + TOUCHING / 2) - 1))


def _unruled_rows(band: Sequence[tuple[int, Word]]) -> list[list[tuple[int, Word]]]:
    """What stands between two level rules: a row, or many where each line fills more columns."""
    rows: dict[int, list[tuple[int, Word]]] = {}
    for column, word in band:
        rows.setdefault(round(word.base), []).append((column, word))
    first = min(column for column, _ in band)
    begun = [{column for column, _ in row} for row in rows.values()]
    begun = [columns for columns in begun if first in columns]
    if len(begun) < MIN_UNRULED or any(len(columns) < 2 for columns in begun):
        return [list(band)]
    found: list[list[tuple[int, Word]]] = []
    for base in sorted(rows, reverse=True):
        if not found or any(column == first for column, _ in rows[base]):
            found.append([])
        found[-1] += rows[base]
    return found


def joined(words: Iterable[str]) -> str:
    """Words as running text: those broken at a line's end are whole again."""
    return " ".join(words).replace(f"{HYPHEN} ", "").replace(HYPHEN, "-")


def _grids(rules: Sequence[Rule]) -> Iterator[_Grid]:
    """The tables that the rules make: rules that touch belong together."""
    left = list(rules)
    while left:
        group = [left.pop()]
        for rule in group:
            near = [each for each in left if _touch(rule, each)]
            group += near
            left = [each for each in left if each not in near]
        uprights = tuple(rule for rule in group if rule.upright)
        levels = tuple(rule for rule in group if not rule.upright)
        columns, heights = _edges(uprights), _edges(levels)
        if len(columns) >= MIN_EDGES and len(heights) >= MIN_EDGES:
            yield _Grid(columns, heights, uprights, levels)


def _touch(one: Rule, other: Rule) -> bool:
    if one.upright == other.upright:
        return (
            abs(one.at - other.at) <= TOUCHING
            and one.start - TOUCHING <= other.end
            and other.start - TOUCHING <= one.end
        )
    return (
        one.start - TOUCHING <= other.at <= one.end + TOUCHING
        and other.start - TOUCHING <= one.at <= other.end + TOUCHING
    )


def _edges(rules: Iterable[Rule]) -> tuple[float, ...]:
    edges: list[float] = []
    for at in sorted(rule.at for rule in rules):
        if not edges or at - edges[-1] > TOUCHING:
            edges.append(at)
    return tuple(edges)
