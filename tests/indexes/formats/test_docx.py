"""Word documents: headings by style, lists, tables, notes, and clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO

import docx
import pytest
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from config.errors import Invalid
from indexes.reading.content import Content
from indexes.reading.documents import read
from tests.support.documents.archives import rewritten
from tests.support.documents.checks import headings, parts, read_exactly

NOTES = f"""<w:footnotes {nsdecls("w")}><w:footnote w:id="2"><w:p><w:r>
<w:t>Except on Sundays.</w:t></w:r></w:p></w:footnote></w:footnotes>"""


def made(fill: Callable[[Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def read_made(fill: Callable[[Document], object]) -> Content:
    return read_exactly(made(fill), "a.docx")


def test_styles_distinguish_headings_paragraphs_and_lists() -> None:
    def fill(document: Document) -> None:
        document.add_heading("The harbour", 0)
        document.add_heading("Boats", 1)
        document.add_paragraph("They leave at seven.")
        document.add_heading("Large ones", 2)
        document.add_paragraph("Freya", style="List Bullet")
        document.add_paragraph("Odin", style="List Number")

    content = read_made(fill)
    assert headings(content) == [(1, "The harbour"), (1, "Boats"), (2, "Large ones")]
    assert parts(content)[2] == ("paragraph", "They leave at seven.")
    assert content.text.endswith("Freya\nOdin")
    assert [kind for kind, _ in parts(content)][-2:] == ["list", "list"]
    assert content.title == "The harbour"


def test_custom_style_is_a_heading_like_the_style_it_is_based_on() -> None:
    def fill(document: Document) -> None:
        style = document.styles.add_style("Chapter", WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = document.styles["Heading 2"]
        document.add_paragraph("Boats", style="Chapter")

    assert headings(read_made(fill)) == [(2, "Boats")]


def test_a_paragraph_with_an_outline_level_is_a_heading_whatever_its_style() -> None:
    def fill(document: Document) -> None:
        properties = document.add_paragraph("Boats")._p.get_or_add_pPr()
        properties.append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="2"/>'))

    assert headings(read_made(fill)) == [(3, "Boats")]


def test_table_rows_carry_the_names_of_their_columns() -> None:
    def fill(document: Document) -> None:
        document.add_paragraph("before")
        table = document.add_table(0, 3)
        for row in (("Boat", "Seats", "Port"), ("Freya", "120", "north"), ("Odin", "80", "")):
            for cell, words in zip(table.add_row().cells, row, strict=True):
                cell.text = words
        document.add_paragraph("after")

    assert parts(read_made(fill)) == [
        ("paragraph", "before"),
        ("table", "Boat | Seats | Port"),
        ("table", "Boat: Freya | Seats: 120 | Port: north"),
        ("table", "Boat: Odin | Seats: 80"),
        ("paragraph", "after"),
    ]


def test_merged_cells_and_tables_in_cells_lose_no_text_and_repeat_none() -> None:
    def fill(document: Document) -> None:
        table = document.add_table(3, 2)
        table.cell(0, 0).text, table.cell(0, 1).text = "Boat", "Port"
        table.cell(1, 0).merge(table.cell(1, 1)).text = "All boats"
        table.cell(2, 0).text = "Freya"
        table.cell(2, 1).add_table(1, 1).cell(0, 0).text = "inner"

    text = read_made(fill).text
    assert [text.count(word) for word in ("All boats", "Freya", "inner")] == [1, 1, 1]


def test_a_footnote_follows_the_paragraph_that_refers_to_it() -> None:
    def fill(document: Document) -> None:
        run = document.add_paragraph("They leave at seven.").add_run()
        run._r.append(parse_xml(f'<w:footnoteReference {nsdecls("w")} w:id="2"/>'))
        document.add_paragraph("They come back at noon.")
        name, kind = PackURI("/word/footnotes.xml"), "application/xml"
        part = Part(name, kind, NOTES.encode(), document.part.package)
        document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)

    assert [text for _, text in parts(read_made(fill))] == [
        "They leave at seven.",
        "Footnote: Except on Sundays.",
        "They come back at noon.",
    ]


def test_text_of_links_boxes_and_insertions_is_read_but_deleted_text_is_not() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        f"<w:p {nsdecls('w')}><w:hyperlink>{run.format('linked ')}</w:hyperlink>"
        f"<w:ins>{run.format('inserted')}</w:ins>"
        f"<w:del><w:r><w:delText>deleted</w:delText></w:r>{run.format('deleted')}</w:del>"
        f"<w:r><w:pict><w:txbxContent><w:p>{run.format('boxed')}</w:p></w:txbxContent></w:pict>"
        "</w:r></w:p>"
    )

    def fill(document: Document) -> None:
        document.element.body.insert(0, parse_xml(body))

    assert [text for _, text in parts(read_made(fill))] == ["linked inserted", "boxed"]


def test_title_author_and_date_come_from_the_properties() -> None:
    def fill(document: Document) -> None:
        document.add_heading("Something else", 1)
        document.core_properties.title = "The ferry"
        document.core_properties.author = "Ada Smith"
        document.core_properties.modified = datetime(2024, 5, 1, 12, tzinfo=UTC)

    content = read_made(fill)
    assert content.title == "The ferry"
    assert content.metadata["author"] == "Ada Smith"
    assert content.metadata["date"].startswith("2024-05-01T12:00:00")


def test_a_damaged_document_is_refused_and_says_what_is_missing() -> None:
    data = made(lambda document: document.add_paragraph("words"))
    with pytest.raises(Invalid, match="truncated or damaged"):
        read(data[: len(data) // 2], "a.docx")
    with pytest.raises(Invalid, match=r"word/document\.xml"):
        read(rewritten(data, lambda name, part: None if "document" in name else part), "a.docx")
    broken = rewritten(data, lambda name, part: part[:-30] if "document.xml" in name else part)
    with pytest.raises(Invalid, match="XML") as caught:
        read(broken, "a.docx")
    assert caught.value.code == "unreadable_document"


def test_a_document_with_macros_is_refused_and_says_what_to_do() -> None:
    def change(name: str, part: bytes) -> bytes:
        plain = b"openxmlformats-officedocument.wordprocessingml.document.main"
        return part.replace(plain, b"ms-word.document.macroEnabled.main")

    data = made(lambda document: document.add_paragraph("words"))
    with pytest.raises(Invalid, match=r"save it as \.docx"):
        read(rewritten(data, change), "a.docx")


def test_a_document_of_another_kind_is_refused_as_what_it_is() -> None:
    with pytest.raises(Invalid, match="not a Word document but a PDF"):
        read(b"%PDF-1.7\n%%EOF", "a.docx")
    with pytest.raises(Invalid, match="old binary Office document"):
        read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.docx")
    with pytest.raises(Invalid, match="not a Word document but an RTF document"):
        read(b"{\\rtf1 words}", "a.docx")
    data = made(lambda document: document.add_paragraph("words"))
    with pytest.raises(Invalid, match="not a PowerPoint presentation but a Word document"):
        read(data, "a.pptx")
    with pytest.raises(Invalid, match=r"binary \(a Word document\), not text"):
        read(data, "a.txt")


def test_a_document_with_a_password_is_refused_as_such() -> None:
    name = "EncryptedPackage".encode("utf-16-le")
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + name
    with pytest.raises(Invalid, match="encrypted with a password"):
        read(data, "a.docx")
