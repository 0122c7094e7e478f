"""Reads PDF: pages, headings, paragraphs, lists, code and tables, in reading order.

PDFium tells words and rules (`pdf_words`); from those come lines (`pdf_lines`), stretches in
reading order (`pdf_layout`) and headings (`pdf_headings`). This module owns the document: its
pages, outline, metadata, hyphenation, and the text that is written. All lengths are in points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

import pypdfium2 as pdfium

from indexes.formats.composer import Composer
from indexes.formats.pdf_headings import (
    TRUSTED_OUTLINE_SHARE,
    OutlineEntry,
    find_title,
    locate_entries,
    measure_looks,
)
from indexes.formats.pdf_layout import (
    Stretch,
    align_rows,
    drop_furniture,
    sort_for_reading,
    split_stretches,
)
from indexes.formats.pdf_lines import Line, build_lines
from indexes.formats.pdf_words import HYPHEN, Glyphs, has_image, read_rules
from indexes.formats.rows import write_rows
from indexes.reading.content import (
    MAX_TEXT_CHARS,
    ParsedText,
    TooMuchText,
    first_heading,
    unreadable_document,
)
from indexes.reading.source import SourceFile

MAX_PAGES = 20_000
"""Each takes milliseconds and its lines stay in memory until all are read."""
MAX_OUTLINE_ENTRIES = 20_000
"""Outlines may refer to themselves; what comes later is left out."""
MAX_OUTLINE_LEVELS = 6
DATE_DEFAULTS = ("01", "01", "00", "00", "00")
"""What a date that leaves them out means: month, day, hour, minute, second."""
WRONG_PASSWORD = 4
"""`FPDF_ERR_PASSWORD` of PDFium."""
UNKNOWN_SECURITY = 5
"""`FPDF_ERR_SECURITY` of PDFium."""
ENCRYPT_KEY = b"/Encrypt"
"""An encrypted file has this in its trailer (ISO 32000-1, 7.5.5)."""
DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")
"""A date string (ISO 32000-1, 7.9.4)."""
MEANINGLESS_TITLE = re.compile(
    r"\(?(?:untitled|unspecified|anonymous)\)?|(?:document|untitled)\d*|.*\.(docx?|tex|dvi|indd|p65|qxd|pdf|rtf|odt)",
    re.I,
)
"""What programs write where nobody gave a title, and names of files."""
PROGRAM_PREFIX = re.compile(r"^(?:Microsoft (?:Word|PowerPoint) - )")
"""What printing from Office puts before a title."""
MEANINGLESS_AUTHORS = {"anonymous", "unknown", "unspecified", "user", "administrator"}
"""What programs write where nobody gave an author."""
HYPHENATED_WORD = re.compile(r"\w+(?:-\w+)*")
SPACELESS_SCRIPT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")
"""Characters of Chinese and Japanese, which put no spaces between words."""


def read_pdf(source: SourceFile) -> ParsedText:
    """Read the text of all pages, and of the document information title, author and date.

    Pages that hold a picture but no text are named in the metadata as `scanned_pages`, and in the
    error where there is no text at all. Raises `Invalid` (`unreadable_document`), `TooMuchText`.
    """
    with closing(_open_pdf(source)) as document:
        pages = _PageLines(document)
        title, metadata = _read_metadata(document)
        marks = _read_outline(document)
    if pages.scanned and not any(pages.lines):
        page_numbers = _format_ranges(pages.scanned)
        raise unreadable_document(
            source.filename, f"it is scanned: page {page_numbers} holds a picture of text, no text"
        )
    if pages.scanned:
        metadata["scanned_pages"] = pages.scanned
    writer = _PdfWriter(pages.lines, marks)
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
            self.lines.append(self._page(number))

    def _page(self, number: int) -> list[Line]:
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
                words = list(glyphs.words())
            if words:
                return build_lines(words, read_rules(page.raw, glyphs.turn))
            if has_image(page.raw):
                self.scanned.append(number + 1)
        return []


@dataclass(slots=True)
class _PdfWriter:
    """Writes the pages' lines as headings, paragraphs, lists, code and tables; finds the title."""

    pages: Sequence[list[Line]]
    marks: Sequence[OutlineEntry]
    title: str = ""
    _words: set[str] | None = None

    def write(self) -> Composer:
        cleaned = [sort_for_reading(page) for page in drop_furniture(self.pages)]
        levels, parted = self._parted(cleaned)
        located = sum(map(len, levels))
        guessing = not located or located < TRUSTED_OUTLINE_SHARE * len(self.marks)
        look = measure_looks(parted)
        composer = Composer()
        for page_levels, page in zip(levels, parted, strict=True):
            composer.begin_page()
            for stretch in page:
                level = page_levels.get(id(stretch.lines[0]), 0) or (
                    look.level(stretch) if guessing else 0
                )
                self._add(composer, stretch, level)
        largest = _resolve_hyphens(find_title(next(filter(None, parted), []), look))
        self.title = largest or first_heading(composer.blocks)
        return composer

    def _parted(
        self, pages: Sequence[list[Line]]
    ) -> tuple[list[dict[int, int]], list[list[Stretch]]]:
        """Split each page into stretches.

        Returns by page the level of each line that begins a heading of the outline, by the line's
        `id`, and the stretches.
        """
        levels, parted = [], []
        for number, page in enumerate(pages):
            here = (mark for mark in self.marks if mark.page == number)
            headings = list(locate_entries(page, here))
            levels.append({id(page[first]): mark.level for first, _, mark in headings})
            parted.append(split_stretches(page, [(first, end) for first, end, _ in headings]))
        return levels, parted

    def _add(self, composer: Composer, stretch: Stretch, level: int) -> None:
        if level:
            composer.add("heading", self._text(stretch.lines), level=level)
        elif stretch.kind == "table":
            write_rows(
                composer, [[_resolve_hyphens(cell) for cell in row] for row in align_rows(stretch)]
            )
        elif stretch.kind == "code":
            composer.add("code", _indent_code(stretch.lines))
        else:
            kind = "list" if stretch.kind == "list" else "paragraph"
            composer.add(kind, self._text(stretch.lines))  # type: ignore[arg-type]

    def _text(self, lines: Sequence[Line]) -> str:
        """Join lines to running text: words that were broken at their ends are whole again."""
        text = ""
        for line in lines:
            text = self._joined(text, line.text) if text else line.text
        return _resolve_hyphens(text)

    def _joined(self, text: str, line: str) -> str:
        """Join a line to the text before it.

        A hyphen at the end of a line stays where the document has the compound elsewhere and not
        the whole word, or where a capital follows.
        """
        if not text.endswith(HYPHEN):
            spaceless = SPACELESS_SCRIPT.match(text[-1]) and SPACELESS_SCRIPT.match(line[:1])
            return text + line if spaceless or _ends_in_hyphen(text) else f"{text} {line}"
        text = text[:-1]
        head = (HYPHENATED_WORD.findall(text[-80:]) or [""])[-1].casefold()
        tail = (HYPHENATED_WORD.findall(line[:80]) or [""])[0].casefold()
        compound = f"{head}-{tail}" in self._vocabulary() or not line[:1].islower()
        keeps_hyphen = compound and head + tail not in self._vocabulary()
        return f"{text}-{line}" if keeps_hyphen else text + line

    def _vocabulary(self) -> set[str]:
        """Collect the document's words, compounds with and without their hyphens, once."""
        if self._words is None:
            texts = (line.text.casefold() for line in chain.from_iterable(self.pages))
            self._words = {word for text in texts for word in HYPHENATED_WORD.findall(text)}
        return self._words


def _ends_in_hyphen(text: str) -> bool:
    return len(text) > 1 and text[-1] == "-" and text[-2].isalnum()


def _resolve_hyphens(text: str) -> str:
    return text.replace(f"{HYPHEN} ", "").replace(HYPHEN, "-")


def _indent_code(lines: Sequence[Line]) -> str:
    """Join lines with the indentation that their places on the page stand for."""
    left = min(line.left for line in lines)
    pieces = []
    for line in lines:
        width = max(0.1, (line.right - line.left) / max(1, len(line.text)))
        pieces.append(
            " " * min(80, round((line.left - left) / width)) + _resolve_hyphens(line.text)
        )
    return "\n".join(pieces)


def _read_outline(document: pdfium.PdfDocument) -> list[OutlineEntry]:
    entries: list[OutlineEntry] = []
    for bookmark in document.get_toc(max_depth=MAX_OUTLINE_LEVELS):
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            entries.append(OutlineEntry(bookmark.get_title(), bookmark.level + 1, page))
        if len(entries) >= MAX_OUTLINE_ENTRIES:
            break
    return entries


def _read_metadata(document: pdfium.PdfDocument) -> tuple[str, dict[str, Any]]:
    """Return the title, and "author" and "date" as far as they are given."""
    info = {key: " ".join(value.split()) for key, value in document.get_metadata_dict().items()}
    title = PROGRAM_PREFIX.sub("", info["Title"])
    metadata: dict[str, Any] = {}
    if info["Author"].lower().strip("()") not in MEANINGLESS_AUTHORS | {""}:
        metadata["author"] = info["Author"]
    if written := _parse_date(info["ModDate"]) or _parse_date(info["CreationDate"]):
        metadata["date"] = written
    return "" if MEANINGLESS_TITLE.fullmatch(title) else title, metadata


def _parse_date(date: str) -> str:
    """Convert a date of PDF to ISO 8601; empty where it is none."""
    match = DATE.match(date)
    if not match:
        return ""
    year, *rest = match.groups()[:6]
    month, day, hour, minute, second = (
        part or first for part, first in zip(rest, DATE_DEFAULTS, strict=True)
    )
    sign, hours, minutes = match.groups()[6:]
    zone = f"{sign}{hours}:{minutes or '00'}" if sign else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone}")
    except ValueError:
        return ""
    return moment.isoformat()


def _format_ranges(numbers: Sequence[int]) -> str:
    """Format page numbers as `1-3, 7`, the first twenty runs of them."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:20])
