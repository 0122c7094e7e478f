"""Drops the furniture of PDF pages: headers and footers that most of them repeat, page numbers.

Pure. A line is furniture by what it has in common with lines near the same edge of other pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from indexes.formats.pdf_lines import Line

EDGE_LINES = 3
"""Headers and footers are among this many lines from the upper and lower end of a page."""
FURNITURE_SHARE = 0.5
"""A line that so many of the pages repeat is furniture,"""
MIN_REPEATS = 3
"""and no fewer pages than this."""
MAX_NUMBERED_SIZE = 1.05
"""Of the body's letter height: what is larger is a numbered heading, no page number."""
NUMBER = re.compile(r"(?<!\S)\d+(?!\S)")


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
