"""Reads spreadsheets: each sheet under a heading of its name, each row a block.

Bounds a workbook before calamine reads it, since that makes room for every cell between the first
and the last. How rows look is `rows`' matter.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError
from python_calamine import SheetTypeEnum as SheetType

from indexes.formats.archive import open_archive
from indexes.formats.composer import Composer
from indexes.formats.rows import format_cell, write_rows
from indexes.reading.content import ParsedText, unreadable_document
from indexes.reading.source import SourceFile

WORKSHEET_NAME = re.compile(r"xl/worksheets/[^/]+\.xml")
CELL_REFERENCE = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]*)(\d+)["']""")
"""The place of a cell in a sheet's XML: `r="AB12"`, or of a row: `r="12"`."""
MAX_CELLS = 20_000_000
"""Between the first and the last one, empty ones too: each takes 32 bytes."""


def read_sheets(source: SourceFile) -> ParsedText:
    """Read the cells as they show, without empty rows and columns; formulas by their last value."""
    if source.data.startswith(b"PK"):
        _check_bounds(source)
    composer = Composer()
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(source.data))
        names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetType.WorkSheet]
        for name in names:
            _write_sheet(composer, book.get_sheet_by_name(name))
    except PasswordError as error:
        raise unreadable_document(
            source.filename, "it is encrypted; save it without a password"
        ) from error
    except (CalamineError, OSError, ValueError) as error:
        raise unreadable_document(
            source.filename, f"it is no whole spreadsheet ({error})"
        ) from error
    return ParsedText(composer.text, composer.blocks, metadata={"sheets": names})


def _check_bounds(source: SourceFile) -> None:
    """Check the cells of each sheet before the library reads them.

    Raises `Invalid` (`unreadable_document`) for what would unpack, or spread a few cells, without
    end.
    """
    with open_archive(source) as archive:
        for name in archive.zip.namelist():
            if WORKSHEET_NAME.fullmatch(name) and (why := _explain_excess(archive.read(name))):
                raise unreadable_document(source.filename, f"'{name}' in it {why}")


def _explain_excess(sheet: bytes) -> str | None:
    rows = columns = 0
    for letters, digits in CELL_REFERENCE.findall(sheet):
        if len(letters) > 3 or len(digits) > 7:
            return "has a cell beyond the last that a sheet has"
        rows = max(rows, int(digits))
        columns = max(columns, _column_number(letters))
    return f"spans more than {MAX_CELLS:,} cells" if rows * columns > MAX_CELLS else None


def _column_number(letters: bytes) -> int:
    """Return the number of column `AB`, from 1."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _write_sheet(composer: Composer, sheet: CalamineSheet) -> None:
    if sheet.start is None:
        return
    composer.add("heading", sheet.name, level=1)
    write_rows(composer, _read_cells(sheet))


def _read_cells(sheet: CalamineSheet) -> Iterator[list[str]]:
    used = _find_used_columns(sheet.iter_rows())
    for row in sheet.iter_rows():
        yield [format_cell(row[column]) for column in used if column < len(row)]


def _find_used_columns(rows: Iterable[Sequence[object]]) -> list[int]:
    used: set[int] = set()
    for row in rows:
        used.update(column for column, cell in enumerate(row) if cell not in ("", None))
    return sorted(used)
