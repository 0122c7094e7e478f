"""Finds the tables that the rules of a PDF page make, and which cell a word stands in.

Pure. Rules that touch belong to one table. Lengths are in points, y upwards.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexes.formats.pdf_shapes import Rule
from indexes.formats.pdf_words import Word

TOUCH_DISTANCE = 3.0
"""In points: rules that come this near touch, and edges this near are one."""
MIN_GRID_EDGES = 3
"""Two rows, or two columns, have three edges."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table: the edges of its columns, and of its rows from the bottom up."""

    columns: tuple[float, ...]
    heights: tuple[float, ...]
    uprights: tuple[Rule, ...]
    levels: tuple[Rule, ...]

    def __contains__(self, word: Word) -> bool:
        x, y = word.middle
        return self.columns[0] <= x <= self.columns[-1] and self.heights[0] <= y <= self.heights[-1]

    def group_into_bands(
        self, words: Iterable[Word]
    ) -> Iterator[tuple[float, list[tuple[int, Word]]]]:
        """Yield the upper edge and the words with their columns between level rules, top down."""
        bands: dict[int, list[tuple[int, Word]]] = {}
        for word in words:
            x, y = word.middle
            # Only a rule that passes the word bounds its cell: cells may span others.
            column = self._cell_index(self.columns, self.uprights, x, y)
            bands.setdefault(self._cell_index(self.heights, self.levels, y, x), []).append(
                (column, word)
            )
        for height in sorted(bands, reverse=True):
            yield self.heights[height], bands[height]

    @staticmethod
    def _cell_index(
        edges: Sequence[float], rules: Sequence[Rule], along: float, across: float
    ) -> int:
        passed = [
            rule.at
            for rule in rules
            if rule.at <= along
            and rule.start - TOUCH_DISTANCE <= across <= rule.end + TOUCH_DISTANCE
        ]
        edge = max(passed, default=edges[0])
        return max(0, min(len(edges) - 2, bisect_right(edges, edge + TOUCH_DISTANCE / 2) - 1))


def find_grids(rules: Sequence[Rule]) -> Iterator[Grid]:
    """Find the tables that the rules make: rules that touch belong together."""
    remaining = list(rules)
    while remaining:
        group = [remaining.pop()]
        for rule in group:
            near = [each for each in remaining if _are_touching(rule, each)]
            group += near
            remaining = [each for each in remaining if each not in near]
        uprights = tuple(rule for rule in group if rule.upright)
        levels = tuple(rule for rule in group if not rule.upright)
        columns, heights = _merge_edges(uprights), _merge_edges(levels)
        if len(columns) >= MIN_GRID_EDGES and len(heights) >= MIN_GRID_EDGES:
            yield Grid(columns, heights, uprights, levels)


def _are_touching(one: Rule, other: Rule) -> bool:
    if one.upright == other.upright:
        return (
            abs(one.at - other.at) <= TOUCH_DISTANCE
            and one.start - TOUCH_DISTANCE <= other.end
            and other.start - TOUCH_DISTANCE <= one.end
        )
    return (
        one.start - TOUCH_DISTANCE <= other.at <= one.end + TOUCH_DISTANCE
        and other.start - TOUCH_DISTANCE <= one.at <= other.end + TOUCH_DISTANCE
    )


def _merge_edges(rules: Iterable[Rule]) -> tuple[float, ...]:
    """Return where rules stand, in order; those that nearly agree are one."""
    edges: list[float] = []
    for at in sorted(rule.at for rule in rules):
        if not edges or at - edges[-1] > TOUCH_DISTANCE:
            edges.append(at)
    return tuple(edges)
