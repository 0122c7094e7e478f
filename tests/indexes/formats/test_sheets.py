"""Spreadsheets: sheets are headings, rows name their columns, values look as a person's."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Invalid
from indexes.reading.documents import read
from tests.support.documents.checks import headings, parts, read_exactly
from tests.support.documents.sheets import Cell, ods, xlsx

FOLDER = Path(__file__).parents[2] / "data" / "sheets"
PEOPLE: list[list[Cell]] = [["name", "age"], ["Anna", "3"], ["Ben", "4"]]


@pytest.mark.parametrize(("write", "filename"), [(xlsx, "a.xlsx"), (ods, "a.ods")])
def test_a_sheet_is_a_heading_and_each_row_names_its_columns(write, filename: str) -> None:  # type: ignore[no-untyped-def]
    content = read_exactly(write({"People": PEOPLE, "Empty": [], "Plants": [["oak"]]}), filename)
    assert parts(content) == [
        ("heading", "People"),
        ("table", "name | age"),
        ("table", "name: Anna | age: 3"),
        ("table", "name: Ben | age: 4"),
        ("heading", "Plants"),
        ("table", "oak"),
    ]
    assert headings(content) == [(1, "People"), (1, "Plants")]


def test_values_are_written_as_a_person_would() -> None:
    values: list[Cell] = [3.0, 0.30000000000000004, 12345678.5, True, "date:45356", "date:45356.75"]
    texts = parts(read(xlsx({"S": [values]}), "a.xlsx"))[1][1].split(" | ")
    assert texts == ["3", "0.3", "12345678.5", "true", "2024-03-05", "2024-03-05 18:00"]


def test_empty_rows_and_columns_are_left_out() -> None:
    grid: list[list[Cell]] = [
        [None, None, None, None],
        [None, "name", None, "age"],
        [None, None, None, None],
        [None, "Anna", None, 3],
    ]
    assert parts(read(xlsx({"S": grid}), "a.xlsx"))[1:] == [
        ("table", "name | age"),
        ("table", "name: Anna | age: 3"),
    ]


@pytest.mark.parametrize("filename", ["dates.xls", "dates.xlsb"])
def test_older_and_binary_workbooks_are_read(filename: str) -> None:
    content = read_exactly((FOLDER / filename).read_bytes(), filename)
    assert parts(content)[:3] == [
        ("heading", "Sheet1"),
        ("table", "2021-01-01 | 15"),
        ("table", "2021-01-02 | 16"),
    ]


def test_a_workbook_is_read_as_what_it_is_whatever_spreadsheet_it_is_called() -> None:
    assert "Anna" in read(xlsx({"S": PEOPLE}), "a.xls").text


@pytest.mark.parametrize("filename", ["a.xlsx", "a.xls", "a.xlsb", "a.ods"])
def test_damaged_workbooks_are_refused_by_name(filename: str) -> None:
    whole = (FOLDER / "dates.xls").read_bytes() if filename == "a.xls" else xlsx({"S": PEOPLE})
    for data in (whole[:700], whole[:100], b"nothing of the kind", b""):
        with pytest.raises(Invalid, match=filename) as caught:
            read(data, filename)
        assert caught.value.code == "unreadable_document"
