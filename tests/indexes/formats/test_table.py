"""CSV: dialects, headers, encodings; each row says what it is about."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from indexes.formats.table import MAX_COLUMNS
from indexes.reading.chunks import cut_into_chunks
from indexes.reading.documents import read
from tests.support.documents.checks import parts, read_exactly


def rows(data: bytes, filename: str = "a.csv", media_type: str | None = None) -> list[str]:
    assert {kind for kind, _ in parts(read_exactly(data, filename))} <= {"table", "paragraph"}
    return [text for _, text in parts(read(data, filename, media_type))]


@pytest.mark.parametrize(
    ("data", "filename"),
    [
        (b"name,age\nAnna,3\nBen,4\n", "a.csv"),
        (b"name;age\r\nAnna;3\r\nBen;4", "a.csv"),
        (b"name\tage\nAnna\t3\nBen\t4\n", "a.tsv"),
        (b"name|age\nAnna|3\nBen|4\n", "a.csv"),
        (b"sep=#\nname#age\nAnna#3\nBen#4\n", "a.csv"),
        (b'"name","age"\n"Anna","3"\n\n,\n"Ben","4"\n', "a.csv"),
    ],
)
def test_each_row_names_its_columns_whatever_the_dialect(data: bytes, filename: str) -> None:
    assert rows(data, filename) == ["name | age", "name: Anna | age: 3", "name: Ben | age: 4"]


@pytest.mark.parametrize(
    "data",
    [
        b"1,2\n3,4\n5,6\n",
        b"Anna,2024-01-05\nBen,2024-01-06\n",
        b"Anna,yes\nBen,no\nCarl,yes\n",
        b"Anna,$3.50\nBen,$4\n",
        b"red,red\nblue,green\n",
        b"It was a long day. We were tired,x\nThen came the night. We slept,y\n",
        b"alone,row\n",
    ],
)
def test_a_table_without_a_header_is_written_as_it_is(data: bytes) -> None:
    lines = data.decode().splitlines()
    assert rows(data) == [" | ".join(line.split(",")) for line in lines]


def test_quotes_hold_delimiters_line_ends_and_quotes() -> None:
    data = b'id,note\n1,"a, b"\n2,"two\nlines"\n3,"say ""hi"""\n'
    assert rows(data)[1:] == [
        "id: 1 | note: a, b",
        "id: 2 | note: two lines",
        'id: 3 | note: say "hi"',
    ]


def test_lines_above_the_header_become_paragraphs() -> None:
    found = parts(read(b"Budget of 2024\n\nitem,cost\nchair,30\nlamp,20\n", "a.csv"))
    assert found[:3] == [
        ("paragraph", "Budget of 2024"),
        ("table", "item | cost"),
        ("table", "item: chair | cost: 30"),
    ]


def test_empty_cells_are_left_out_and_cells_beyond_the_header_stay() -> None:
    assert rows(b"a,b,c\n1,,3\n4,5,6,7\n")[1:] == ["a: 1 | c: 3", "a: 4 | b: 5 | c: 6 | 7"]


def test_a_row_that_fits_no_passage_is_cut_between_its_cells() -> None:
    prose = ["The ferry leaves. " * 40, "The boat comes back. " * 40]
    content = read(f"id,out,back\n7,{','.join(prose)}\n8,a,b\n".encode(), "a.csv")
    found = [content.text[chunk.start : chunk.end] for chunk in cut_into_chunks(content, 160)]
    assert [text.startswith("back: ") for text in found if "The boat" in text] == [True]


def test_a_quote_that_is_never_closed_loses_no_row() -> None:
    assert rows(b'size,qty\n5" pipe,1\n"6 pipe,2\n')[1:] == [
        'size: 5" pipe | qty: 1',
        'size: "6 pipe | qty: 2',
    ]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("nombre;país\nPeña;España\nIñaki;Perú\n", "cp1252"),
        ("Straße;Größe\nWeg 3;groß\n", "cp1252"),
        ("Zażółć;gęślą\njaźń;proszę\n", "cp1250"),
        ("имя;возраст\nАнна;три\nБорис;четыре\n", "cp1251"),
        ("姓名;年龄\n安娜;三\n", "gb18030"),
        ("名前;年齢\n太郎;三つ\n", "cp932"),
        ("name;größe\nAnna;3\n", "utf-16"),
        ("name;größe\nAnna;3\n", "utf-8-sig"),
    ],
)
def test_encoding_is_guessed_from_the_bytes(text: str, encoding: str) -> None:
    assert read(text.encode(encoding), "a.csv").text.split("\n")[0] == text.split("\n")[0].replace(
        ";", " | "
    )


def test_declared_charset_decides_over_the_guess() -> None:
    assert rows("ü,1\n".encode("cp437"), media_type="text/csv; charset=cp437") == ["ü | 1"]
    with pytest.raises(Invalid, match="valid ascii"):
        read("ü,1\n".encode(), "a.csv", "text/csv; charset=ascii")


def test_csv_declared_as_excel_by_a_browser_is_read_as_csv() -> None:
    content = read(b"a,b\n1,2\n", "a.csv", "application/vnd.ms-excel")
    assert content.media_type == "text/csv"


def test_too_many_columns_and_too_large_cells_are_refused_by_line() -> None:
    with pytest.raises(Invalid, match="line 2 has more than"):
        read(b"a,b\n" + b"," * MAX_COLUMNS + b"x\n", "a.csv")
    with pytest.raises(Invalid, match="line 2: field larger"):
        read(b"a,b\n1," + b"x" * 200_000, "a.csv")
