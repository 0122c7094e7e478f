"""Tables as text: comma, semicolon, tab or bar separated, whatever their quotes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from indexes.formats.composer import Composer
from indexes.formats.rows import shown, write_rows
from indexes.reading.documents import ParsedText, SourceFile, unreadable_document

SNIFFED_CHARS = 8192
"""What the dialect is told by: the time for it grows with the square."""
MAX_COLUMNS = 16_384
DELIMITERS = ",;\t|"
DECLARED = re.compile(r"sep=(.)\r?\n")


def read_csv(source: SourceFile) -> ParsedText:
    """A block for each row. Raises `Invalid` for a row of too many columns or too large a cell."""
    text = source.guessed_text()
    delimiter, begin = _delimiter(text, source)
    composer = Composer()
    write_rows(composer, _rows(text[begin:], delimiter, source.filename))
    return ParsedText(composer.text, composer.blocks)


def _delimiter(text: str, source: SourceFile) -> tuple[str, int]:
    """(what separates the cells, where the table begins)"""
    if declared := DECLARED.match(text):
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


def _rows(text: str, delimiter: str, filename: str) -> Iterator[list[str]]:
    """The rows. A quote that is never closed would swallow the rest: then none is a quote."""
    lines = io.StringIO(text, newline="")
    if _well_quoted(text, delimiter):
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
        yield [shown(cell) for cell in row]


def _well_quoted(text: str, delimiter: str) -> bool:
    if '"' not in text:
        return True
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return all(True for _ in reader)
    except csv.Error:
        return False
