"""Reads Word documents: headings by their styles, lists, tables and footnotes in reading order.

The elements are those of WordprocessingML (ECMA-376 part 1, 17). python-docx opens the package; the
body is walked as XML, since text in boxes, fields and tracked changes has no place in its model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import docx
from docx.document import Document
from docx.exceptions import PythonDocxError
from docx.oxml.ns import qn

from indexes.formats import archive
from indexes.formats.composer import Composer
from indexes.formats.office import open_package, read_properties
from indexes.formats.rows import write_rows
from indexes.reading.content import ParsedText, first_heading
from indexes.reading.source import SourceFile

HEADING_NAME = re.compile(r"heading (\d)", re.I)
"""The built-in heading styles, whatever language their user interface has."""
NOTE_PARTS = {"footnotes": "footnote", "endnotes": "endnote"}
TEXT_TAGS = {qn("w:t"), qn("m:t")}
SIGN_TAGS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
SKIPPED_TAGS = {
    qn("w:del"),  # what tracked changes took away
    qn("w:moveFrom"),
    qn("w:pPr"),
    qn("w:rPr"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
"""Elements whose text is not the document's: properties, what tracked changes
took away, fallbacks.
"""
NOTE_REFERENCES = {qn(f"w:{note}Reference"): note for note in NOTE_PARTS.values()}
PARAGRAPH, TABLE, ROW, CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
TEXT_BOX, VALUE, ID = qn("w:txbxContent"), qn("w:val"), qn("w:id")
SPAN = f"{qn('w:tcPr')}/{qn('w:gridSpan')}"
OUTLINE = f"{qn('w:pPr')}/{qn('w:outlineLvl')}"
NUMBERING = f"{qn('w:pPr')}/{qn('w:numPr')}"
STYLE = f"{qn('w:pPr')}/{qn('w:pStyle')}"
BODY_LEVEL = 9
"""The outline level that Word gives to what is no heading (17.3.1.20)."""
MAX_SPAN = 64
"""A cell that claims to span more columns than this is damaged."""


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph style says of structure. Level 0 is no heading."""

    level: int = 0
    listed: bool = False
    title: bool = False


def read_docx(source: SourceFile) -> ParsedText:
    """Read the document's text, and of its properties title, author and date.

    Raises `Invalid` (`unreadable_document`).
    """
    with archive.open_archive(source), archive.translate_damage(source.filename, PythonDocxError):
        document = open_package(source, docx.Document, ".docx")
        writer = _DocxWriter(_read_styles(document), _read_notes(document, source.filename))
        writer.write(document.element.body)
        title, metadata = read_properties(document.core_properties)
    composer = writer.composer
    title = title or writer.title or first_heading(composer.blocks)
    return ParsedText(composer.text, composer.blocks, title, (), metadata)


@dataclass(slots=True)
class _DocxWriter:
    """Writes paragraphs and tables into a `Composer`, each followed by the notes it refers to.

    `notes` are the texts of footnotes and endnotes by kind and id. `title` becomes the first
    paragraph in a title's style.
    """

    styles: Mapping[str, ParagraphStyle]
    notes: Mapping[tuple[str, str], str]
    composer: Composer = field(default_factory=Composer)
    title: str = ""
    _referred: list[tuple[str, str]] = field(default_factory=list)

    def write(self, container: Any) -> None:
        """Add the paragraphs and tables below an element, whatever wraps them."""
        for element in _walk_outermost(container, {PARAGRAPH, TABLE}):
            if element.tag == TABLE:
                write_rows(self.composer, list(self._read_rows(element)))
            else:
                self._write_paragraph(element)
            self._write_notes()

    def _write_paragraph(self, element: Any) -> None:
        text = self._read_text(element)
        style = self._resolve_style(element)
        if style.level:
            self.composer.add("heading", " ".join(text.split()), level=style.level)
            self.title = self.title or (text if style.title else "")
        else:
            self.composer.add("list" if style.listed else "paragraph", text)
        for box in _walk_outermost(element, {TEXT_BOX}):
            self.write(box)

    def _resolve_style(self, element: Any) -> ParagraphStyle:
        named = element.find(STYLE)
        style = self.styles.get("" if named is None else named.get(VALUE, ""), ParagraphStyle())
        own = element.find(OUTLINE)
        level = style.level if own is None else _outline_level(own)
        listed = style.listed or element.find(NUMBERING) is not None
        return ParagraphStyle(level, listed, style.title)

    def _read_text(self, element: Any) -> str:
        """Return the paragraph's text; the notes it refers to are remembered to follow it."""
        pieces: list[str] = []
        for node in _walk_text_nodes(element):
            if node.tag in TEXT_TAGS:
                pieces.append(node.text or "")
            elif node.tag in SIGN_TAGS:
                pieces.append(SIGN_TAGS[node.tag])
            elif note := NOTE_REFERENCES.get(node.tag):
                self._referred.append((note, node.get(ID, "")))
        return "".join(pieces)

    def _read_rows(self, table: Any) -> Iterator[list[str]]:
        for row in _walk_outermost(table, {ROW}):
            cells: list[str] = []
            for cell in _walk_outermost(row, {CELL}):
                paragraphs = (self._read_text(each) for each in _walk_outermost(cell, {PARAGRAPH}))
                cells.append(" ".join(" ".join(paragraphs).split()))
                cells += [""] * (min(_column_span(cell), MAX_SPAN) - 1)
            yield cells

    def _write_notes(self) -> None:
        for key in self._referred:
            if text := self.notes.get(key):
                self.composer.add("paragraph", f"{key[0].capitalize()}: {text}")
        self._referred.clear()


def _walk_outermost(root: Any, tags: set[str]) -> Iterator[Any]:
    """Yield the elements of these kinds below `root` that stand in no other such, in order."""
    stack = [root.iterchildren()]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag in tags:
            yield element
        elif element.tag not in SKIPPED_TAGS:
            stack.append(element.iterchildren())


def _walk_text_nodes(paragraph: Any) -> Iterator[Any]:
    """Yield a paragraph's elements but those of text boxes, which are paragraphs again."""
    return _walk_outermost(
        paragraph, TEXT_TAGS | set(SIGN_TAGS) | set(NOTE_REFERENCES) | {TEXT_BOX}
    )


def _column_span(cell: Any) -> int:
    span = cell.find(SPAN)
    value = "1" if span is None else span.get(VALUE, "1")
    return int(value) if value.isdecimal() else 1


def _outline_level(outline: Any) -> int:
    value = outline.get(VALUE, "")
    return int(value) + 1 if value.isdecimal() and int(value) < BODY_LEVEL else 0


def _read_styles(document: Document) -> dict[str, ParagraphStyle]:
    """Return what each paragraph style says, or the one that it is based on; "" is the default."""
    elements = {
        style.get(qn("w:styleId"), ""): style for style in document.styles.element.style_lst
    }
    styles = {id: _inherit_style(id, elements) for id in elements}
    default = next((id for id, style in elements.items() if _is_default(style)), "")
    return styles | {"": styles.get(default, ParagraphStyle())}


def _is_default(style: Any) -> bool:
    kind = style.get(qn("w:type"))
    return kind == "paragraph" and style.get(qn("w:default")) in ("1", "true", "on")


def _inherit_style(id: str, elements: Mapping[str, Any]) -> ParagraphStyle:
    """Return the nearest style that says anything of structure; styles may be based
    on each other.
    """
    visited: set[str] = set()
    while id in elements and id not in visited:
        visited.add(id)
        style = _declared_style(elements[id])
        if style != ParagraphStyle():
            return style
        based_on = elements[id].find(qn("w:basedOn"))
        id = "" if based_on is None else based_on.get(VALUE, "")
    return ParagraphStyle()


def _declared_style(style: Any) -> ParagraphStyle:
    named = style.find(qn("w:name"))
    name = "" if named is None else named.get(VALUE, "")
    if name.lower() == "title":
        return ParagraphStyle(1, False, True)
    outline, heading = style.find(OUTLINE), HEADING_NAME.fullmatch(name)
    level = int(heading[1]) if heading else 0 if outline is None else _outline_level(outline)
    listed = style.find(NUMBERING) is not None or name.lower().startswith("list ")
    return ParagraphStyle(level, listed and not level)


def _read_notes(document: Document, filename: str) -> dict[tuple[str, str], str]:
    """Return the text of each footnote and endnote by its kind and id."""
    notes = {}
    for relation in document.part.rels.values():
        part = relation.reltype.rsplit("/", 1)[-1]
        if part not in NOTE_PARTS or relation.is_external:
            continue
        root = archive.parse_xml(relation.target_part.blob, filename, f"word/{part}.xml")
        for note in root.iterchildren(qn(f"w:{NOTE_PARTS[part]}")):
            words = " ".join(each.text or "" for each in note.iter(qn("w:t")))
            notes[NOTE_PARTS[part], note.get(ID, "")] = " ".join(words.split())
    return notes
