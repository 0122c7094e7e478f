"""Presentations: slides as pages, with tables, charts, groups and notes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from io import BytesIO

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation
from pptx.util import Inches

from config.errors import Invalid
from indexes.reading.content import Content
from indexes.reading.documents import read
from tests.support.documents.archives import rewritten
from tests.support.documents.checks import headings, parts, read_exactly

TITLE_AND_BODY, TITLE_ALONE = 1, 5
PLACE = (Inches(1), Inches(2), Inches(4), Inches(1))


def made(fill: Callable[[Presentation], object]) -> bytes:
    presentation = pptx.Presentation()
    fill(presentation)
    out = BytesIO()
    presentation.save(out)
    return out.getvalue()


def read_made(fill: Callable[[Presentation], object]) -> Content:
    return read_exactly(made(fill), "a.pptx")


def add_slide(presentation: Presentation, title: str, layout: int = TITLE_ALONE):  # type: ignore[no-untyped-def]
    slide = presentation.slides.add_slide(presentation.slide_layouts[layout])
    slide.shapes.title.text = title
    return slide


def test_each_slide_is_a_page_under_its_title() -> None:
    def fill(presentation: Presentation) -> None:
        for title in ("Boats", "Ports"):
            slide = add_slide(presentation, title, TITLE_AND_BODY)
            slide.placeholders[1].text = f"{title} are many\n{title} are old"

    content = read_made(fill)
    assert headings(content) == [(1, "Boats"), (1, "Ports")]
    assert parts(content)[1:3] == [("list", "Boats are many"), ("list", "Boats are old")]
    found = [bisect_right(content.pages, block.start) for block in content.blocks]
    assert found == [1, 1, 1, 2, 2, 2]
    assert content.title == "Boats"


def test_shapes_are_read_from_the_top_down_and_groups_too() -> None:
    def fill(presentation: Presentation) -> None:
        slide = add_slide(presentation, "Boats")
        slide.shapes.add_textbox(Inches(1), Inches(5), *PLACE[2:]).text_frame.text = "last"
        slide.shapes.add_textbox(Inches(5), Inches(2), *PLACE[2:]).text_frame.text = "second"
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(Inches(1), Inches(2), *PLACE[2:]).text_frame.text = "first"

    assert [text for _, text in parts(read_made(fill))] == ["Boats", "first", "second", "last"]


def test_tables_and_charts_are_rows_with_names() -> None:
    def fill(presentation: Presentation) -> None:
        slide = add_slide(presentation, "Boats")
        table = slide.shapes.add_table(3, 2, *PLACE).table
        for at, row in enumerate((("Boat", "Seats"), ("Freya", "120"), ("Odin", "80"))):
            for column, words in enumerate(row):
                table.cell(at, column).text = words
        data = CategoryChartData()
        data.categories = ["North", "South"]
        data.add_series("Sales", (1.5, 2))
        box = (Inches(1), Inches(4), Inches(4), Inches(2))
        slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *box, data)

    rows = [text for kind, text in parts(read_made(fill)) if kind == "table"]
    assert rows[:3] == ["Boat | Seats", "Boat: Freya | Seats: 120", "Boat: Odin | Seats: 80"]
    assert rows[-2:] == ["Category: North | Sales: 1.5", "Category: South | Sales: 2"]


def test_notes_stand_on_the_page_of_their_slide() -> None:
    def fill(presentation: Presentation) -> None:
        for title in ("Boats", "Ports"):
            slide = add_slide(presentation, title)
            slide.notes_slide.notes_text_frame.text = f"Speak slowly of {title}."

    content = read_made(fill)
    assert [text for _, text in parts(content)] == [
        "Boats",
        "Speak slowly of Boats.",
        "Ports",
        "Speak slowly of Ports.",
    ]
    assert bisect_right(content.pages, content.text.index("of Boats")) == 1


def test_title_and_author_come_from_the_properties() -> None:
    def fill(presentation: Presentation) -> None:
        add_slide(presentation, "Boats")
        presentation.core_properties.title = "The ferry"
        presentation.core_properties.author = "Ada Smith"

    content = read_made(fill)
    assert (content.title, content.metadata["author"]) == ("The ferry", "Ada Smith")


def test_a_presentation_with_a_document_in_it_is_still_a_presentation() -> None:
    inner = BytesIO(b"PK\x03\x04 word/document.xml xl/workbook.xml")

    def fill(presentation: Presentation) -> None:
        add_slide(presentation, "Boats").shapes.add_ole_object(inner, "Word.Document.12", *PLACE)

    assert read_made(fill).title == "Boats"


def test_slide_with_an_incomplete_shape_is_refused() -> None:
    def change(name: str, part: bytes) -> bytes:
        return re.sub(rb"<p:cNvPr[^>]*/>", b"", part) if "slide1.xml" in name else part

    data = made(lambda presentation: add_slide(presentation, "Boats"))
    with pytest.raises(Invalid, match="damaged"):
        read(rewritten(data, change), "a.pptx")


def test_damaged_and_empty_presentations_are_refused() -> None:
    data = made(lambda presentation: add_slide(presentation, "Boats"))
    with pytest.raises(Invalid, match="truncated or damaged"):
        read(data[:-200], "a.pptx")
    with pytest.raises(Invalid, match="no text"):
        read(made(lambda presentation: None), "a.pptx")
