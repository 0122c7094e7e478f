"""Writes rows of a table as text: `name: Anna | age: 3`, so that each says what it is about.

Owns how cells look and which row is a header. Where rows come from (CSV, sheets, tables in
documents) is the formats' matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain, islice

from indexes.formats.composer import Composer

Row = Sequence[str]

MAX_LABEL_CHARS = 80
"""A column's name is cut here before a value: a table repeats it in each row."""
MAX_LINE_CHARS = 1_000
"""A longer row has a line for each cell, so that it can be cut into passages."""
SAMPLE_ROWS = 64
"""How many rows tell whether the first is a header; a stream is not read further for it."""
WHITE_SPACE = re.compile(r"\s+")
QUANTITY = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d\s.,:/'’%-]*(?:[eE][-+]?\d+)?\s?[%€$£¥)]?")
"""A number or an amount, with a currency, separators, an exponent, a range or a percent sign."""
DATE_OR_BOOLEAN = re.compile(r"\d{4}-\d\d?-\d\d?(?:[T ][\d:.+Z-]+)?|true|false", re.I)
SENTENCE = re.compile(r"[.!?;]\s|[.!?]$")


def format_cell(value: object) -> str:
    """Format a cell's value as a person would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, ".15g")
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(" ", _precision(value))
    if isinstance(value, time):
        return value.isoformat(_precision(value))
    if isinstance(value, date | timedelta):
        return str(value)
    return "" if value is None else WHITE_SPACE.sub(" ", str(value)).strip()


def _precision(value: datetime | time) -> str:
    return "seconds" if value.second or value.microsecond else "minutes"


def write_rows(into: Composer, rows: Iterable[Row]) -> None:
    """Add a block for each row that is not empty, with the names of its columns if there are any.

    Lines above the header that fill one cell alone are what the table is about: paragraphs. The
    header is written too, so that nothing of the document is lost where it is none.
    """
    filled = (row for row in rows if any(row))
    sample = list(islice(filled, SAMPLE_ROWS))
    above = _count_rows_above(sample)
    for row in sample[:above]:
        into.add("paragraph", "".join(row))
    body = sample[above:]
    names: Row = ()
    if body and is_header(body[0], body[1:]):
        names = [name[:MAX_LABEL_CHARS] for name in body[0]]
        into.add("table", _join_cells(body[0]))
        body = body[1:]
    for row in chain(body, filled):
        into.add("table", _join_cells(_label_cells(row, names)))


def _count_rows_above(rows: Sequence[Row]) -> int:
    """Count the rows that stand above the table: those that fill one cell alone."""
    first = next((number for number, row in enumerate(rows) if sum(map(bool, row)) > 1), 0)
    return first if first < len(rows) - 1 else 0


def _label_cells(row: Row, names: Row) -> Iterator[str]:
    for column, cell in enumerate(row):
        name = names[column] if column < len(names) else ""
        yield f"{name}: {cell}" if name and cell else cell


def _join_cells(cells: Iterable[str]) -> str:
    """Join cells on a line; a row too long for a passage has a line for each, to be cut there."""
    filled = [cell for cell in cells if cell]
    return ("\n" if sum(map(len, filled)) > MAX_LINE_CHARS else " | ").join(filled)


def is_header(first: Row, below: Sequence[Row]) -> bool:
    """Tell whether `first` names the columns of the rows below it, of which a sample is enough.

    Names are short, differ from each other, are no quantities and come back nowhere below.
    """
    names = [cell for cell in first if cell]
    if not below or len(set(names)) < len(names) or len(names) * 2 < len(first):
        return False
    if any(
        len(name) > MAX_LABEL_CHARS or is_quantity(name) or SENTENCE.search(name) for name in names
    ):
        return False
    return not any(_recurs_below(column, name, below) for column, name in enumerate(first) if name)


def _recurs_below(column: int, name: str, below: Sequence[Row]) -> bool:
    return any(column < len(row) and row[column] == name for row in below)


def is_quantity(cell: str) -> bool:
    """Tell whether a cell is a number, an amount, a date, or true or false."""
    return bool(QUANTITY.fullmatch(cell) or DATE_OR_BOOLEAN.fullmatch(cell))
