"""Spreadsheets written by hand, honest and otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
OASIS = "urn:oasis:names:tc:opendocument:xmlns"
DATE_STYLE = 14
"""The style of a cell that shows a date: the number of it in Excel's own list of formats."""
Cell = str | int | float | bool | None
Sheets = Mapping[str, Sequence[Sequence[Cell]]]


def zipped(parts: Mapping[str, str]) -> bytes:
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(ZipInfo(name) if name == "mimetype" else name, text)
    return out.getvalue()


def xlsx(sheets: Sheets) -> bytes:
    """A workbook. A cell that begins with `date:` holds the number after it, shown as a date."""
    bodies = {name: "".join(map(_row, rows)) for name, rows in sheets.items()}
    return xlsx_of(bodies)


def xlsx_of(bodies: Mapping[str, str]) -> bytes:
    """A workbook of sheets whose rows are XML."""
    sheets = [
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="s{n}"/>'
        for n, name in enumerate(bodies, 1)
    ]
    targets = "".join(
        _relation(f"s{n}", "worksheet", f"worksheets/sheet{n}.xml")
        for n in range(1, len(bodies) + 1)
    )
    parts = {
        "[Content_Types].xml": (
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/></Types>'
        ),
        "_rels/.rels": _relations(_relation("r", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{"".join(sheets)}</sheets>'
            "</workbook>"
        ),
        "xl/_rels/workbook.xml.rels": _relations(targets + _relation("t", "styles", "styles.xml")),
        "xl/styles.xml": (
            f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="{DATE_STYLE}"/>'
            "</cellXfs></styleSheet>"
        ),
    }
    for number, body in enumerate(bodies.values(), 1):
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'
        )
    return zipped(parts)


def ods(sheets: Sheets) -> bytes:
    """The same as an OpenDocument spreadsheet, all cells text."""
    tables = "".join(
        f'<table:table table:name="{escape(name)}">{"".join(map(_table_row, rows))}</table:table>'
        for name, rows in sheets.items()
    )
    return ods_of(tables)


def ods_of(tables: str) -> bytes:
    spaces = " ".join(f'xmlns:{name}="{OASIS}:{name}:1.0"' for name in ("office", "table", "text"))
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": f'<m:manifest xmlns:m="{OASIS}:manifest:1.0"/>',
            "content.xml": (
                f"<office:document-content {spaces}><office:body><office:spreadsheet>{tables}"
                "</office:spreadsheet></office:body></office:document-content>"
            ),
        }
    )


def _relations(body: str) -> str:
    return f'<Relationships xmlns="{PACKAGE}">{body}</Relationships>'


def _relation(name: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{target}"/>'


def _row(cells: Sequence[Cell]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(value: Cell) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str) and value.startswith("date:"):
        return f'<c s="1"><v>{value[5:]}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def _table_row(cells: Sequence[Cell]) -> str:
    return f"<table:table-row>{''.join(map(_table_cell, cells))}</table:table-row>"


def _table_cell(value: Cell) -> str:
    if value is None:
        return "<table:table-cell/>"
    text = f"<text:p>{escape(str(value))}</text:p>"
    return f'<table:table-cell office:value-type="string">{text}</table:table-cell>'
