"""Reads tables as text: comma, semicolon, tab or bar separated, whatever their quotes.

Quotes are those of RFC 4180; a first line `sep=;` names the delimiter, as Excel writes it. Headers
and labels are the matter of `rows`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from indexes.formats.composer import Composer
from indexes.formats.rows import format_cell, write_rows
from indexes.reading.content import ParsedText, unreadable_document
from indexes.reading.source import SourceFile

SNIFFED_CHARS = 8192
"""How much of a table tells its dialect: the time for it grows with the square."""
MAX_COLUMNS = 16_384
"""As many as a sheet of Excel has."""
DELIMITERS = ",;\t|"
DECLARED_DELIMITER = re.compile(r"sep=(.)\r?\n")


def read_csv(source: SourceFile) -> ParsedText:
    """Read a table with a block for each row.

    Raises `Invalid` (`unreadable_document`) for a row of too many columns or too large a cell.
    """
    text = source.guess_text()
    delimiter, begin = _choose_delimiter(text, source)
    composer = Composer()
    write_rows(composer, _read_rows(text[begin:], delimiter, source.filename))
    return ParsedText(composer.text, composer.blocks)


def _choose_delimiter(text: str, source: SourceFile) -> tuple[str, int]:
    """Return what separates the cells, and the offset where the table begins."""
    if declared := DECLARED_DELIMITER.match(text):
        return declared[1], declared.end()
    if source.media_type == "text/tab-separated-values":
        return "\t", 0
    sample = text[:SNIFFED_CHARS]
    if len(text) > SNIFFED_CHARS:
        sample = sample.rpartition("\n")[0] or sample
    try:
        return csv.Sniffer().sniff(sample, DELIMITERS).delimiter, 0
    except csv.Error:  # one column, or no order in it: the most frequent one
        return max(DELIMITERS, key=sample.count), 0


def _read_rows(text: str, delimiter: str, filename: str) -> Iterator[list[str]]:
    """Yield the rows, their cells formatted.

    A quote that is never closed would swallow the rest: then none is a quote.
    """
    lines = io.StringIO(text, newline="")
    if _is_well_quoted(text, delimiter):
        reader = csv.reader(lines, delimiter=delimiter)
    else:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise unreadable_document(filename, f"line {reader.line_num}: {error}") from error
        if len(row) > MAX_COLUMNS:
            why = f"line {reader.line_num} has more than {MAX_COLUMNS} columns"
            raise unreadable_document(filename, why)
        yield [format_cell(cell) for cell in row]


def _is_well_quoted(text: str, delimiter: str) -> bool:
    if '"' not in text:
        return True
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return all(True for _ in reader)
    except csv.Error:
        return False
