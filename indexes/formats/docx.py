"""Word documents: headings by their styles, lists, tables and footnotes in reading order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import docx
from docx.document import Document
from docx.exceptions import PythonDocxError
from docx.oxml.ns import qn

from indexes.formats import archive
from indexes.formats.composer import Composer
from indexes.formats.office import properties
from indexes.formats.rows import write_rows
from indexes.reading.documents import ParsedText, SourceFile, unreadable_document

HEADING_NAME = re.compile(r"heading (\d)", re.I)
NOTES = {"footnotes": "footnote", "endnotes": "endnote"}
TEXT = {qn("w:t"), qn("m:t")}
SIGNS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
SKIPPED = {
    qn("w:del"),  # what tracked changes took away
    qn("w:moveFrom"),
    qn("w:pPr"),
    qn("w:rPr"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
REFERENCES = {qn(f"w:{note}Reference"): note for note in NOTES.values()}
PARAGRAPH, TABLE, ROW, CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
TEXT_BOX, VALUE, ID = qn("w:txbxContent"), qn("w:val"), qn("w:id")
SPAN = f"{qn('w:tcPr')}/{qn('w:gridSpan')}"
OUTLINE = f"{qn('w:pPr')}/{qn('w:outlineLvl')}"
NUMBERING = f"{qn('w:pPr')}/{qn('w:numPr')}"
STYLE = f"{qn('w:pPr')}/{qn('w:pStyle')}"
BODY_LEVEL = 9
"""The outline level that Word gives to what is no heading."""
MAX_SPAN = 64


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph style says of structure. Level 0 is no heading."""

    level: int = 0
    listed: bool = False
    title: bool = False


def read_docx(source: SourceFile) -> ParsedText:
    """The document's text, and of its properties title, author and date."""
    with archive.opened(source), archive.readable(source.filename, PythonDocxError):
        document = _opened(source)
        writer = _Writer(_styles(document), _notes(document, source.filename))
        writer.write(document.element.body)
        title, metadata = properties(document.core_properties)
    composer = writer.composer
    return ParsedText(
        composer.text, composer.blocks, title or writer.title or _heading(composer), (), metadata
    )


def _opened(source: SourceFile) -> Document:
    try:
        return docx.Document(BytesIO(source.data))
    except ValueError as error:
        why = "its main part is that of a template, a document with macros, or nothing known"
        raise unreadable_document(source.filename, f"{why}; save it as .docx") from error


def _heading(composer: Composer) -> str:
    return next((block.title for block in composer.blocks if block.kind == "heading"), "")


@dataclass(slots=True)
class _Writer:
    styles: Mapping[str, Style]
    notes: Mapping[tuple[str, str], str]
    composer: Composer = field(default_factory=Composer)
    title: str = ""
    _referred: list[tuple[str, str]] = field(default_factory=list)

    def write(self, container: Any) -> None:
        """Add the paragraphs and tables below an element, whatever wraps them."""
        for element in _outermost(container, {PARAGRAPH, TABLE}):
            if element.tag == TABLE:
                write_rows(self.composer, list(self._rows(element)))
            else:
                self._paragraph(element)
            self._write_notes()

    def _paragraph(self, element: Any) -> None:
        text = self._text(element)
        style = self._style(element)
        if style.level:
            self.composer.add("heading", " ".join(text.split()), level=style.level)
            self.title = self.title or (text if style.title else "")
        else:
            self.composer.add("list" if style.listed else "paragraph", text)
        for box in _outermost(element, {TEXT_BOX}):
            self.write(box)

    def _style(self, element: Any) -> Style:
        named = element.find(STYLE)
        style = self.styles.get("" if named is None else named.get(VALUE, ""), Style())
        own = element.find(OUTLINE)
        level = style.level if own is None else _level(own)
        listed = style.listed or element.find(NUMBERING) is not None
        return Style(level, listed, style.title)

    def _text(self, element: Any) -> str:
        """The paragraph's text; its notes are remembered to follow it."""
        pieces: list[str] = []
        for node in _nodes(element):
            if node.tag in TEXT:
                pieces.append(node.text or "")
            elif node.tag in SIGNS:
                pieces.append(SIGNS[node.tag])
            elif note := REFERENCES.get(node.tag):
                self._referred.append((note, node.get(ID, "")))
        return "".join(pieces)

    def _rows(self, table: Any) -> Iterator[list[str]]:
        for row in _outermost(table, {ROW}):
            cells: list[str] = []
            for cell in _outermost(row, {CELL}):
                paragraphs = (self._text(each) for each in _outermost(cell, {PARAGRAPH}))
                cells.append(" ".join(" ".join(paragraphs).split()))
                cells += [""] * (min(_span(cell), MAX_SPAN) - 1)
            yield cells

    def _write_notes(self) -> None:
        for key in self._referred:
            if text := self.notes.get(key):
                self.composer.add("paragraph", f"{key[0].capitalize()}: {text}")
        self._referred.clear()


def _outermost(root: Any, tags: set[str]) -> Iterator[Any]:
    """The elements of these kinds below `root` that stand in no other such, in order."""
    stack = [root.iterchildren()]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag in tags:
            yield element
        elif element.tag not in SKIPPED:
            stack.append(element.iterchildren())


def _nodes(paragraph: Any) -> Iterator[Any]:
    """All elements of a paragraph but those of text boxes in it, which are paragraphs again."""
    return _outermost(paragraph, TEXT | set(SIGNS) | set(REFERENCES) | {TEXT_BOX})


def _span(cell: Any) -> int:
    span = cell.find(SPAN)
    value = "1" if span is None else span.get(VALUE, "1")
    return int(value) if value.isdecimal() else 1


def _level(outline: Any) -> int:
    value = outline.get(VALUE, "")
    return int(value) + 1 if value.isdecimal() and int(value) < BODY_LEVEL else 0


def _styles(document: Document) -> dict[str, Style]:
    """What each paragraph style says, or the one that it is based on; "" is the default."""
    elements = {
        style.get(qn("w:styleId"), ""): style for style in document.styles.element.style_lst
    }
    styles = {id: _inherited(id, elements) for id in elements}
    default = next((id for id, style in elements.items() if _is_default(style)), "")
    return styles | {"": styles.get(default, Style())}


def _is_default(style: Any) -> bool:
    kind = style.get(qn("w:type"))
    return kind == "paragraph" and style.get(qn("w:default")) in ("1", "true", "on")


def _inherited(id: str, elements: Mapping[str, Any]) -> Style:
    seen: set[str] = set()
    while id in elements and id not in seen:
        seen.add(id)
        found = _declared(elements[id])
        if found != Style():
            return found
        based_on = elements[id].find(qn("w:basedOn"))
        id = "" if based_on is None else based_on.get(VALUE, "")
    return Style()


def _declared(style: Any) -> Style:
    named = style.find(qn("w:name"))
    name = "" if named is None else named.get(VALUE, "")
    if name.lower() == "title":
        return Style(1, False, True)
    outline, heading = style.find(OUTLINE), HEADING_NAME.fullmatch(name)
    level = int(heading[1]) if heading else 0 if outline is None else _level(outline)
    listed = style.find(NUMBERING) is not None or name.lower().startswith("list ")
    return Style(level, listed and not level)


def _notes(document: Document, filename: str) -> dict[tuple[str, str], str]:
    """The text of each footnote and endnote by its kind and id."""
    found = {}
    for relation in document.part.rels.values():
        part = relation.reltype.rsplit("/", 1)[-1]
        if part not in NOTES or relation.is_external:
            continue
        root = archive.xml(relation.target_part.blob, filename, f"word/{part}.xml")
        for note in root.iterchildren(qn(f"w:{NOTES[part]}")):
            words = " ".join(each.text or "" for each in note.iter(qn("w:t")))
            found[NOTES[part], note.get(ID, "")] = " ".join(words.split())
    return found
