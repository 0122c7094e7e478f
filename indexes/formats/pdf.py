"""Reads PDF: pages, headings, paragraphs, lists, code and tables, in reading order.

This module opens the document and reads its pages one after the other. Each page goes through
`pdf_words` and `pdf_shapes` (what PDFium tells) and `pdf_lines` (with `pdf_grids`, ruled tables);
all pages then through `pdf_writer`: `pdf_furniture`, `pdf_order`, `pdf_layout`, `pdf_headings`.
What the document says of itself is `pdf_info`'s. All lengths are in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pypdfium2 as pdfium

from indexes.formats.pdf_info import read_metadata, read_outline
from indexes.formats.pdf_lines import Line, build_lines
from indexes.formats.pdf_shapes import has_image, read_rules
from indexes.formats.pdf_words import Glyphs
from indexes.formats.pdf_writer import PdfWriter
from indexes.reading.content import (
    MAX_TEXT_CHARS,
    ParsedText,
    TooMuchText,
    unreadable_document,
)
from indexes.reading.source import SourceFile

MAX_PAGES = 20_000
"""Each takes milliseconds and its lines stay in memory until all are read."""
WRONG_PASSWORD = 4
"""`FPDF_ERR_PASSWORD` of PDFium."""
UNKNOWN_SECURITY = 5
"""`FPDF_ERR_SECURITY` of PDFium."""
ENCRYPT_KEY = b"/Encrypt"
"""An encrypted file has this in its trailer (ISO 32000-1, 7.5.5)."""


def read_pdf(source: SourceFile) -> ParsedText:
    """Read the text of all pages, and of the document information title, author and date.

    Pages that hold a picture but no text are named in the metadata as `scanned_pages`, and in the
    error where there is no text at all. Raises `Invalid` (`unreadable_document`), `TooMuchText`.
    """
    with closing(_open_pdf(source)) as document:
        pages = _PageLines(document)
        title, metadata = read_metadata(document)
        marks = read_outline(document)
    if pages.scanned and not any(pages.lines):
        page_numbers = _format_ranges(pages.scanned)
        raise unreadable_document(
            source.filename, f"it is scanned: page {page_numbers} holds a picture of text, no text"
        )
    if pages.scanned:
        metadata["scanned_pages"] = pages.scanned
    writer = PdfWriter(pages.lines, marks)
    composer = writer.write()
    named = title or writer.title
    return ParsedText(composer.text, composer.blocks, named, composer.pages, metadata)


def _open_pdf(source: SourceFile) -> pdfium.PdfDocument:
    """Open the document; the caller closes it. Raises `Invalid` (`unreadable_document`)."""
    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        # PDFium's last error may be that of an earlier document: a locked one says so itself.
        locked = error.err_code in (WRONG_PASSWORD, UNKNOWN_SECURITY) and ENCRYPT_KEY in source.data
        if locked:
            why = "it is encrypted with a password; save it without one"
        else:
            why = "it is a truncated or damaged PDF"
        raise unreadable_document(source.filename, why) from error
    if len(document) > MAX_PAGES:
        document.close()
        raise unreadable_document(
            source.filename, f"it has more than {MAX_PAGES:,} pages; split it"
        )
    return document


@dataclass(slots=True)
class _PageLines:
    """The lines of each page; `scanned` are the numbers, from 1, of those that are pictures.

    Reads all pages when it is made. Raises `TooMuchText`.
    """

    document: pdfium.PdfDocument
    lines: list[list[Line]] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)
    _chars: int = 0

    def __post_init__(self) -> None:
        for number in range(len(self.document)):
            self.lines.append(self._read_page(number))

    def _read_page(self, number: int) -> list[Line]:
        try:
            page = self.document[number]
        except pdfium.PdfiumError:
            return []  # a damaged page costs no other
        with closing(page):
            try:
                textpage = page.get_textpage()
            except pdfium.PdfiumError:
                return []
            with closing(textpage):
                self._chars += textpage.count_chars()
                if self._chars > MAX_TEXT_CHARS:
                    raise TooMuchText
                glyphs = Glyphs(textpage.raw)
                words = list(glyphs.read_words())
            if words:
                return build_lines(words, read_rules(page.raw, glyphs.turn))
            if has_image(page.raw):
                self.scanned.append(number + 1)
        return []


def _format_ranges(numbers: Sequence[int]) -> str:
    """Format page numbers as `1-3, 7`, the first twenty runs of them."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:20])
