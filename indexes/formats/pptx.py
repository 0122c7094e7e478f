"""Presentations: a slide is a page, its title a heading; tables, charts and notes are text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any

import pptx
from pptx.exc import PythonPptxError
from pptx.oxml.ns import qn
from pptx.presentation import Presentation

from indexes.formats import archive
from indexes.formats.composer import Composer
from indexes.formats.office import properties
from indexes.formats.rows import write_rows
from indexes.reading.documents import ParsedText, SourceFile, unreadable_document

TITLE_LEVEL = 1
FURNITURE = {"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"}
BODY = {"BODY", "OBJECT", "VERTICAL_BODY", "VERTICAL_OBJECT"}
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
DIAGRAM = f"{qn('a:graphic')}/{qn('a:graphicData')}/{{{DRAWING}/diagram}}relIds"
MAX_DEPTH = 32
"""Groups in groups: no person makes more."""


def read_pptx(source: SourceFile) -> ParsedText:
    """The slides' text, each slide on a page of its own."""
    composer = Composer()
    with archive.opened(source), archive.readable(source.filename, PythonPptxError):
        presentation = _opened(source)
        for slide in presentation.slides:
            composer.begin_page()
            _Slide(composer, slide, source.filename).write()
        title, metadata = properties(presentation.core_properties)
    first = next((block.title for block in composer.blocks if block.kind == "heading"), "")
    # python-pptx, and others after its template, leave this title behind.
    title = "" if title == "PowerPoint Presentation" else title
    return ParsedText(composer.text, composer.blocks, title or first, composer.pages, metadata)


def _opened(source: SourceFile) -> Presentation:
    try:
        return pptx.Presentation(BytesIO(source.data))
    except ValueError as error:
        why = "its main part is that of a template, a document with macros, or nothing known"
        raise unreadable_document(source.filename, f"{why}; save it as .pptx") from error


class _Slide:
    def __init__(self, composer: Composer, slide: Any, filename: str) -> None:
        self._composer = composer
        self._slide = slide
        self._filename = filename

    def write(self) -> None:
        title = self._slide.shapes.title
        if title is not None:
            self._composer.add("heading", " ".join(title.text.split()), level=TITLE_LEVEL)
        id = None if title is None else title.shape_id
        for shape in _in_order(self._slide.shapes):
            if shape.shape_id != id and _placeholder(shape) not in FURNITURE:
                self._shape(shape)
        self._notes()

    def _shape(self, shape: Any) -> None:
        if shape.has_text_frame:
            self._paragraphs(shape.text_frame, listed=_placeholder(shape) in BODY)
        elif getattr(shape, "has_table", False):
            write_rows(self._composer, [_cells(row) for row in shape.table.rows])
        elif getattr(shape, "has_chart", False):
            self._chart(shape.chart)
        else:
            self._diagram(shape)

    def _paragraphs(self, frame: Any, *, listed: bool) -> None:
        paragraphs = [each for each in frame.paragraphs if each.text.strip()]
        for each in paragraphs:
            in_list = each.level > 0 or (listed and len(paragraphs) > 1)
            self._composer.add("list" if in_list else "paragraph", each.text.replace("\v", "\n"))

    def _chart(self, chart: Any) -> None:
        if chart.has_title:
            self._paragraphs(chart.chart_title.text_frame, listed=False)
        # Taken from the XML: python-pptx does not know every kind of chart.
        plots: dict[Any, list[Any]] = {}
        for series in chart.element.iter(qn("c:ser")):
            plots.setdefault(series.getparent(), []).append(series)
        for plotted in plots.values():
            write_rows(self._composer, list(_plot_rows(plotted)))

    def _diagram(self, shape: Any) -> None:
        """SmartArt: its words stand in a part of their own."""
        relations = shape.element.find(DIAGRAM)
        id = None if relations is None else relations.get(qn("r:dm"))
        if id is None or id not in self._slide.part.rels:
            return
        data = self._slide.part.related_part(id).blob
        root = archive.xml(data, self._filename, "a diagram")
        for paragraph in root.iter(qn("a:p")):
            text = "".join(run.text or "" for run in paragraph.iter(qn("a:t")))
            self._composer.add("list", text)

    def _notes(self) -> None:
        if not self._slide.has_notes_slide:
            return
        frame = self._slide.notes_slide.notes_text_frame
        if frame is not None:
            self._paragraphs(frame, listed=False)


def _in_order(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """The shapes as they are read: from the top down, from left to right; groups whole."""
    for shape in sorted(shapes, key=lambda each: (each.top or 0, each.left or 0)):
        if hasattr(shape, "shapes") and depth < MAX_DEPTH:
            yield from _in_order(shape.shapes, depth + 1)
        else:
            yield shape


def _placeholder(shape: Any) -> str:
    kind = shape.placeholder_format.type if shape.is_placeholder else None
    return str(kind.name) if kind is not None else ""


def _cells(row: Any) -> list[str]:
    return [" ".join(cell.text.split()) for cell in row.cells]


def _plot_rows(plotted: Sequence[Any]) -> Iterator[list[str]]:
    """A row for each category, with the value of each series; the first row has their names."""
    names = [" ".join(_points(each, "c:tx").values()) for each in plotted]
    categories = _points(plotted[0], "c:cat") or _points(plotted[0], "c:xVal")
    values = [_points(each, "c:val") or _points(each, "c:yVal") for each in plotted]
    yield ["Category", *names]
    for number in sorted(set(categories).union(*values)):
        yield [categories.get(number, ""), *(each.get(number, "") for each in values)]


def _points(series: Any, name: str) -> dict[int, str]:
    """The values of a series' part by their number."""
    found: dict[int, str] = {}
    for value in (each for part in series.iterchildren(qn(name)) for each in part.iter(qn("c:v"))):
        number = value.getparent().get("idx", "0")
        found.setdefault(int(number) if number.isdecimal() else 0, (value.text or "").strip())
    return found
