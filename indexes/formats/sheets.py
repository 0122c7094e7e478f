"""Spreadsheets: each sheet under a heading of its name, each row a block."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError
from python_calamine import SheetTypeEnum as SheetType

from indexes.documents import Parsed, Source, unreadable
from indexes.formats.archive import opened
from indexes.formats.composer import Composer
from indexes.formats.rows import shown, write_rows


def read_sheets(source: Source) -> Parsed:
    """The cells as they show, without empty rows and columns; formulas by their last value."""
    if source.data.startswith(b"PK"):
        with opened(source):  # bounded and whole, before it is unpacked by what knows no bounds
            pass
    composer = Composer()
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(source.data))
        names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetType.WorkSheet]
        for name in names:
            _write_sheet(composer, book.get_sheet_by_name(name))
    except PasswordError as error:
        raise unreadable(source.filename, "it is encrypted; save it without a password") from error
    except (CalamineError, OSError, ValueError) as error:
        raise unreadable(source.filename, f"it is no whole spreadsheet ({error})") from error
    return Parsed(composer.text, composer.blocks, metadata={"sheets": names})


def _write_sheet(composer: Composer, sheet: CalamineSheet) -> None:
    if sheet.start is None:
        return
    composer.add("heading", sheet.name, level=1)
    write_rows(composer, _cells(sheet))


def _cells(sheet: CalamineSheet) -> Iterator[list[str]]:
    used = _used_columns(sheet.iter_rows())
    for row in sheet.iter_rows():
        yield [shown(row[column]) for column in used if column < len(row)]


def _used_columns(rows: Iterable[Sequence[object]]) -> list[int]:
    used: set[int] = set()
    for row in rows:
        used.update(column for column, cell in enumerate(row) if cell not in ("", None))
    return sorted(used)
