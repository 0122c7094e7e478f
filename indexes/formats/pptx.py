"""Reads presentations (ECMA-376 part 1, 19 to 21): a slide is a page, its title a heading.

Text, tables, charts, diagrams and notes are written in the order in which a slide is read.
python-pptx opens the package; what it has no names for is taken from the XML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pptx
from pptx.exc import PythonPptxError
from pptx.oxml.ns import qn

from indexes.formats import archive
from indexes.formats.composer import Composer
from indexes.formats.office import open_package, read_properties
from indexes.formats.rows import write_rows
from indexes.reading.content import ParsedText, first_heading
from indexes.reading.source import SourceFile

TITLE_LEVEL = 1
FURNITURE = {"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"}
"""Placeholders that every slide repeats."""
BODY = {"BODY", "OBJECT", "VERTICAL_BODY", "VERTICAL_OBJECT"}
"""Placeholders whose paragraphs show bullets."""
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
DIAGRAM = f"{qn('a:graphic')}/{qn('a:graphicData')}/{{{DRAWING}/diagram}}relIds"
"""Where a SmartArt shape names the part that holds its words."""
MAX_DEPTH = 32
"""Groups in groups: no person makes more."""


def read_pptx(source: SourceFile) -> ParsedText:
    """Read the slides' text, each slide on a page of its own.

    Raises `Invalid` (`unreadable_document`).
    """
    composer = Composer()
    with archive.open_archive(source), archive.translate_damage(source.filename, PythonPptxError):
        presentation = open_package(source, pptx.Presentation, ".pptx")
        for slide in presentation.slides:
            composer.begin_page()
            _SlideWriter(composer, slide, source.filename).write()
        title, metadata = read_properties(presentation.core_properties)
    first = first_heading(composer.blocks)
    # python-pptx, and others after its template, leave this title behind.
    title = "" if title == "PowerPoint Presentation" else title
    return ParsedText(composer.text, composer.blocks, title or first, composer.pages, metadata)


class _SlideWriter:
    """Writes one slide: title, shapes in reading order, notes."""

    def __init__(self, composer: Composer, slide: Any, filename: str) -> None:
        self._composer = composer
        self._slide = slide
        self._filename = filename

    def write(self) -> None:
        title = self._slide.shapes.title
        if title is not None:
            self._composer.add("heading", " ".join(title.text.split()), level=TITLE_LEVEL)
        id = None if title is None else title.shape_id
        for shape in _sort_shapes(self._slide.shapes):
            if shape.shape_id != id and _placeholder_type(shape) not in FURNITURE:
                self._write_shape(shape)
        self._write_notes()

    def _write_shape(self, shape: Any) -> None:
        if shape.has_text_frame:
            self._write_paragraphs(shape.text_frame, listed=_placeholder_type(shape) in BODY)
        elif getattr(shape, "has_table", False):
            write_rows(self._composer, [_cell_texts(row) for row in shape.table.rows])
        elif getattr(shape, "has_chart", False):
            self._write_chart(shape.chart)
        else:
            self._write_diagram(shape)

    def _write_paragraphs(self, frame: Any, *, listed: bool) -> None:
        paragraphs = [each for each in frame.paragraphs if each.text.strip()]
        for each in paragraphs:
            in_list = each.level > 0 or (listed and len(paragraphs) > 1)
            self._composer.add("list" if in_list else "paragraph", each.text.replace("\v", "\n"))

    def _write_chart(self, chart: Any) -> None:
        if chart.has_title:
            self._write_paragraphs(chart.chart_title.text_frame, listed=False)
        # Taken from the XML: python-pptx does not know every kind of chart.
        plots: dict[Any, list[Any]] = {}
        for series in chart.element.iter(qn("c:ser")):
            plots.setdefault(series.getparent(), []).append(series)
        for plotted in plots.values():
            write_rows(self._composer, list(_build_plot_rows(plotted)))

    def _write_diagram(self, shape: Any) -> None:
        """Write the words of SmartArt, which stand in a part of their own."""
        relations = shape.element.find(DIAGRAM)
        id = None if relations is None else relations.get(qn("r:dm"))
        if id is None or id not in self._slide.part.rels:
            return
        data = self._slide.part.related_part(id).blob
        root = archive.parse_xml(data, self._filename, "a diagram")
        for paragraph in root.iter(qn("a:p")):
            text = "".join(run.text or "" for run in paragraph.iter(qn("a:t")))
            self._composer.add("list", text)

    def _write_notes(self) -> None:
        if not self._slide.has_notes_slide:
            return
        frame = self._slide.notes_slide.notes_text_frame
        if frame is not None:
            self._write_paragraphs(frame, listed=False)


def _sort_shapes(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """Yield the shapes as they are read: from the top down, from left to right; groups whole."""
    for shape in sorted(shapes, key=lambda each: (each.top or 0, each.left or 0)):
        if hasattr(shape, "shapes") and depth < MAX_DEPTH:
            yield from _sort_shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _placeholder_type(shape: Any) -> str:
    kind = shape.placeholder_format.type if shape.is_placeholder else None
    return str(kind.name) if kind is not None else ""


def _cell_texts(row: Any) -> list[str]:
    return [" ".join(cell.text.split()) for cell in row.cells]


def _build_plot_rows(plotted: Sequence[Any]) -> Iterator[list[str]]:
    """Yield the names of the series, then for each category the value of each series."""
    names = [" ".join(_read_points(each, "c:tx").values()) for each in plotted]
    categories = _read_points(plotted[0], "c:cat") or _read_points(plotted[0], "c:xVal")
    values = [_read_points(each, "c:val") or _read_points(each, "c:yVal") for each in plotted]
    yield ["Category", *names]
    for number in sorted(set(categories).union(*values)):
        yield [categories.get(number, ""), *(each.get(number, "") for each in values)]


def _read_points(series: Any, name: str) -> dict[int, str]:
    """Return the values of a series' part by their number."""
    points: dict[int, str] = {}
    for value in (each for part in series.iterchildren(qn(name)) for each in part.iter(qn("c:v"))):
        number = value.getparent().get("idx", "0")
        points.setdefault(int(number) if number.isdecimal() else 0, (value.text or "").strip())
    return points
