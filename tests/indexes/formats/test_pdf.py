"""PDF: structure from looks alone, and clear refusals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from reportlab.lib import colors, pdfencrypt
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    Flowable,
    ListFlowable,
    PageBreak,
    Paragraph,
    Preformatted,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from config.errors import Invalid
from indexes.formats import pdf
from indexes.reading.documents import read
from tests.support.documents.checks import headings, parts, read_exactly

STYLES = getSampleStyleSheet()
PROSE = (
    "The ferry leaves the harbour every morning at seven, whatever the weather may be. It takes "
    "forty minutes to the island, and somewhat less when the tide runs with it. In winter there "
    "is a second boat at noon, because the school on the mainland ends early then. "
)


def text(words: str, style: str = "Normal") -> Paragraph:
    return Paragraph(words, STYLES[style])


def platypus(*story: Flowable, furniture: bool = False, **info: str) -> bytes:
    out = BytesIO()

    def decorate(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(72, 810, "Harbour handbook, third edition")
        canvas.drawRightString(520, 30, f"Page {document.page}")

    hooks = {"onFirstPage": decorate, "onLaterPages": decorate} if furniture else {}
    SimpleDocTemplate(out, **info).build(list(story), **hooks)
    return out.getvalue()


def drawn(draw: Callable[[Canvas], object], **options: object) -> bytes:
    out = BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), **options)
    draw(canvas)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def lines_at(canvas: Canvas, x: float, y: float, *lines: str) -> None:
    for number, line in enumerate(lines):
        canvas.drawString(x, y - 12 * number, line)


def scan(canvas: Canvas) -> None:
    canvas.drawImage(ImageReader(Image.new("L", (60, 80), 128)), 0, 0, 595, 842)


def test_headings_are_known_by_their_size_and_nest_by_it() -> None:
    content = read_exactly(
        platypus(
            text("Sailing", "Heading1"),
            text(PROSE),
            text("Boats", "Heading2"),
            text(PROSE),
            text("Islands", "Heading1"),
            text(PROSE),
        ),
        "a.pdf",
    )
    assert headings(content) == [(1, "Sailing"), (2, "Boats"), (1, "Islands")]
    assert content.title == "Sailing"
    assert parts(content)[1] == ("paragraph", PROSE.strip())


def test_a_bold_line_of_its_own_is_a_heading_and_a_bold_word_is_none() -> None:
    content = read_exactly(
        platypus(text("<b>Opening hours</b>"), Spacer(1, 6), text(f"<b>Always</b> open. {PROSE}")),
        "a.pdf",
    )
    assert headings(content) == [(1, "Opening hours")]
    assert len(content.blocks) == 2


def test_the_outline_names_the_headings_where_there_is_one() -> None:
    def draw(canvas: Canvas) -> None:
        for key, title, level, y in (("a", "Arrivals", 0, 700), ("b", "By sea", 1, 600)):
            canvas.bookmarkPage(key)
            canvas.addOutlineEntry(title, key, level)
            canvas.setFont("Helvetica", 10)
            canvas.drawString(72, y, f"{level + 1}.1 {title}")
            lines_at(canvas, 72, y - 30, "Some text stands below it,", "in letters of one size.")
        canvas.setFont("Helvetica", 20)
        canvas.drawString(72, 400, "Large but no heading of the outline")

    content = read_exactly(drawn(draw), "a.pdf")
    assert headings(content) == [(1, "1.1 Arrivals"), (2, "2.1 By sea")]


def test_pages_begin_where_their_text_does() -> None:
    story = [part for word in ("one", "two", "three") for part in (text(word), PageBreak())]
    content = read_exactly(platypus(*story), "a.pdf")
    assert [text for _, text in parts(content)] == ["one", "two", "three"]
    found = [bisect_right(content.pages, block.start) for block in content.blocks]
    assert found == [1, 2, 3]


def test_headers_and_footers_that_repeat_are_dropped() -> None:
    names = ["Freya has engines.", "Odin has sails.", "Thor has oars.", "Loki has nothing."]
    story = [part for name in names for part in (text(name), PageBreak())]
    content = read_exactly(platypus(*story, furniture=True), "a.pdf")
    assert [text for _, text in parts(content)] == names


def test_numbered_headings_at_the_top_of_each_page_are_no_headers() -> None:
    story: list[Flowable] = []
    for number in range(1, 6):
        story += [text(f"Chapter {number}", "Heading1"), text(PROSE * number), PageBreak()]
    content = read_exactly(platypus(*story, furniture=True), "a.pdf")
    assert headings(content) == [(1, f"Chapter {number}") for number in range(1, 6)]


def test_words_broken_at_the_end_of_a_line_are_whole_again() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, 72, 700, "The well-known harbour has moor-", "ings for the well-")
        lines_at(canvas, 72, 676, "known ferry and 10-", "20 smaller boats of the Baltic-", "Sea.")

    content = read_exactly(drawn(draw), "a.pdf")
    assert content.text == (
        "The well-known harbour has moorings for the well-known ferry and 10-20 smaller boats "
        "of the Baltic-Sea."
    )


def test_ligatures_are_spelled_out() -> None:
    def draw(canvas: Canvas) -> None:
        pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
        canvas.setFont("Vera", 12)
        canvas.drawString(72, 700, "of\ufb01ce")

    assert read_exactly(drawn(draw), "a.pdf").text == "office"


def test_lists_and_code_are_distinguished_from_paragraphs() -> None:
    code = "def sail(boat):\n    if boat.ready:\n        return boat.leave()"
    content = read_exactly(
        platypus(
            text(PROSE),
            ListFlowable([text("ropes and fenders"), text("life jackets")], bulletType="bullet"),
            Preformatted(code, STYLES["Code"]),
            text(PROSE),
        ),
        "a.pdf",
    )
    assert [kind for kind, _ in parts(content)] == [
        "paragraph",
        "list",
        "list",
        "code",
        "paragraph",
    ]
    assert parts(content)[2][1].endswith("life jackets")
    assert ("code", code) in parts(content)


def test_a_ruled_table_is_read_row_by_row_with_the_names_of_its_columns() -> None:
    cell = text("leaves the northern pier in summer and the southern one in winter")
    data = [["Boat", "Seats", "Remarks"], ["Freya", "120", cell], ["Odin", "80", "none"]]
    table = Table(
        data, colWidths=[80, 60, 120], style=[("GRID", (0, 0), (-1, -1), 1, colors.black)]
    )
    content = read_exactly(platypus(text(PROSE), table, text(PROSE)), "a.pdf")
    rows = [text for kind, text in parts(content) if kind == "table"]
    assert rows == [
        "Boat | Seats | Remarks",
        "Boat: Freya | Seats: 120 | Remarks: leaves the northern pier in summer and the southern "
        "one in winter",
        "Boat: Odin | Seats: 80 | Remarks: none",
    ]


def test_rows_without_rules_between_them_are_split_by_lines() -> None:
    data = [["Key", "Meaning"], *([f"key {number}", f"does {number}"] for number in range(6))]
    style = [
        ("BOX", (0, 0), (-1, -1), 1, colors.black),
        ("LINEBELOW", (0, 0), (-1, 0), 1, colors.black),
        ("LINEAFTER", (0, 0), (0, -1), 1, colors.black),
    ]
    content = read_exactly(platypus(Table(data, style=style)), "a.pdf")
    rows = [text for kind, text in parts(content) if kind == "table"]
    assert rows[1:] == [f"Key: key {number} | Meaning: does {number}" for number in range(6)]


def test_table_frame_around_columns_without_rules_splits_their_rows() -> None:
    data = [["Part", "Number"], *([f"key {number}", f"{number}"] for number in range(5))]
    style = [
        ("GRID", (0, 0), (-1, 0), 1, colors.black),
        ("BOX", (0, 0), (-1, -1), 1, colors.black),
    ]
    table = Table(data, colWidths=[150, 150], style=style)
    content = read_exactly(platypus(Table([["a", "b"]], style=style), table), "a.pdf")
    rows = [text for kind, text in parts(content) if kind == "table"]
    assert rows[-5:] == [f"key {number} | {number}" for number in range(5)]


def test_monospaced_names_at_the_end_of_a_sentence_are_no_code() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, 72, 700, "The file is truncated to zero length, regardless of")
        canvas.setFont("Courier", 12)
        canvas.drawString(72, 686, "CLOBBER.")

    content = read_exactly(drawn(draw), "a.pdf")
    assert content.text.endswith("regardless of CLOBBER.")


def test_a_cell_that_spans_columns_stays_whole() -> None:
    data = [
        ["All the boats of the harbour", "", "Seats"],
        ["Freya", "red", "1"],
        ["Odin", "blue", "2"],
    ]
    style = [("GRID", (0, 0), (-1, -1), 1, colors.black), ("SPAN", (0, 0), (1, 0))]
    content = read_exactly(platypus(Table(data, style=style)), "a.pdf")
    assert "All the boats of the harbour" in content.text


def test_a_table_without_rules_is_known_by_its_columns() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, 72, 750, "The boats of the harbour and what they carry:")
        for number, row in enumerate([("Boat", "Seats"), ("Freya", "120"), ("Odin", "80")]):
            for column, cell in enumerate(row):
                canvas.drawString(72 + 150 * column, 700 - 14 * number, cell)

    rows = [text for kind, text in parts(read_exactly(drawn(draw), "a.pdf")) if kind == "table"]
    assert rows == ["Boat | Seats", "Boat: Freya | Seats: 120", "Boat: Odin | Seats: 80"]


def test_columns_are_read_one_after_the_other_in_whatever_order_they_were_drawn() -> None:
    left = [f"left column line {number} goes" for number in range(12)]
    right = [f"right column line {number} goes" for number in range(12)]

    def draw(canvas: Canvas) -> None:
        for number in range(12):
            at = 5 * number % 12  # no order to trust
            for column, lines in ((72, left), (320, right)):
                canvas.drawString(column, 700 - 13 * at, lines[at])

    content = read_exactly(drawn(draw), "a.pdf")
    assert content.text.index(left[-1]) < content.text.index(right[0])
    assert " ".join(left) in content.text
    assert " ".join(right) in content.text


@pytest.mark.parametrize("angle", [0, 90, 180])
def test_turned_pages_are_read_as_they_are_seen(angle: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.translate(297, 421)
        canvas.rotate(angle)
        lines_at(canvas, -200, 100, "The first line of the page", "and the second of it.")
        for number, row in enumerate([("Boat", "Seats"), ("Freya", "120"), ("Odin", "80")]):
            for column, cell in enumerate(row):
                canvas.drawString(-200 + 150 * column, 50 - 14 * number, cell)

    assert parts(read_exactly(drawn(draw), "a.pdf")) == [
        ("paragraph", "The first line of the page and the second of it."),
        ("table", "Boat | Seats"),
        ("table", "Boat: Freya | Seats: 120"),
        ("table", "Boat: Odin | Seats: 80"),
    ]


def test_title_author_and_date_come_from_the_document() -> None:
    content = read_exactly(platypus(text(PROSE), title="The ferry", author="Ada Smith"), "a.pdf")
    assert (content.title, content.metadata["author"]) == ("The ferry", "Ada Smith")
    assert content.metadata["date"].startswith("20")


@pytest.mark.parametrize("title", ["untitled", "ferry_final.doc", "", "Microsoft Word - x.docx"])
def test_meaningless_title_is_replaced_by_the_largest_text_of_the_first_page(title: str) -> None:
    content = read_exactly(platypus(text("The ferry", "Title"), text(PROSE), title=title), "a.pdf")
    assert content.title == "The ferry"


def test_scanned_pages_among_others_are_named() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 700, "The only text.")
        canvas.showPage()
        scan(canvas)
        canvas.showPage()
        scan(canvas)

    content = read_exactly(drawn(draw), "a.pdf")
    assert content.metadata["scanned_pages"] == [2, 3]
    assert len(content.pages) == 3


def test_a_page_of_drawings_alone_is_not_taken_for_a_scan() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 700, "The only text.")
        canvas.showPage()
        canvas.beginForm("box")
        canvas.rect(100, 100, 50, 50)
        canvas.endForm()
        canvas.doForm("box")

    assert "scanned_pages" not in read_exactly(drawn(draw), "a.pdf").metadata


def test_a_document_of_scans_alone_is_refused_by_its_pages() -> None:
    def draw(canvas: Canvas) -> None:
        scan(canvas)
        canvas.showPage()
        scan(canvas)

    with pytest.raises(Invalid, match="scanned: page 1-2 ") as caught:
        read(drawn(draw), "a.pdf")
    assert caught.value.code == "unreadable_document"


def test_an_encrypted_document_is_refused_unless_anybody_may_open_it() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 700, "Secret words.")

    closed = pdfencrypt.StandardEncryption("secret", "owner", strength=128)
    with pytest.raises(Invalid, match="encrypted with a password"):
        read(drawn(draw, encrypt=closed), "a.pdf")
    open_to_read = pdfencrypt.StandardEncryption("", "owner", strength=128)
    assert read(drawn(draw, encrypt=open_to_read), "a.pdf").text == "Secret words."


def test_a_document_without_pages_is_not_taken_for_the_encrypted_one_before_it() -> None:
    closed = pdfencrypt.StandardEncryption("secret", "owner", strength=128)
    with pytest.raises(Invalid, match="encrypted"):
        read(drawn(lambda canvas: None, encrypt=closed), "a.pdf")
    with pytest.raises(Invalid, match="truncated or damaged"):
        read(b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer\n<</Root 1 0 R>>", "a.pdf")


def test_other_file_named_pdf_is_refused_by_its_real_type() -> None:
    with pytest.raises(Invalid, match="not a PDF but a web page"):
        read(b"<!DOCTYPE html><p>Please log in", "a.pdf")
    with pytest.raises(Invalid, match="not a PDF"):
        read(b"plain words", "a.pdf")
    with pytest.raises(Invalid, match="truncated or damaged"):
        read(b"%PDF-1.7\n", "a.pdf")


def test_more_text_than_the_limit_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf, "MAX_TEXT_CHARS", 500)
    story = [part for _ in range(3) for part in (text(PROSE), PageBreak())]
    with pytest.raises(Invalid, match="split it"):
        read(platypus(*story), "a.pdf")
