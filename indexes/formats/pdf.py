"""PDF: pages, headings, paragraphs, lists, code and tables, in reading order."""

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
from indexes.formats.pdf_headings import TRUSTED, Mark, looks, marked, title
from indexes.formats.pdf_layout import Stretch, in_reading_order, rows, stretches, without_furniture
from indexes.formats.pdf_lines import Line, lines
from indexes.formats.pdf_words import HYPHEN, Glyphs, has_image, rules
from indexes.formats.rows import write_rows
from indexes.reading.documents import (
    MAX_TEXT_CHARS,
    ParsedText,
    SourceFile,
    TooMuchText,
    unreadable_document,
)

MAX_PAGES = 20_000
MAX_MARKS = 20_000
MAX_LEVELS = 6
FIRST = ("01", "01", "00", "00", "00")
"""What a date that leaves them out means: month, day, hour, minute, second."""
WRONG_PASSWORD = 4
UNKNOWN_SECURITY = 5
LOCK = b"/Encrypt"
DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")
NO_TITLE = re.compile(
    r"\(?(?:untitled|unspecified|anonymous)\)?|(?:document|untitled)\d*|.*\.(docx?|tex|dvi|indd|p65|qxd|pdf|rtf|odt)",
    re.I,
)
PROGRAM = re.compile(r"^(?:Microsoft (?:Word|PowerPoint) - )")
NOBODY = {"anonymous", "unknown", "unspecified", "user", "administrator"}
COMPOUND = re.compile(r"\w+(?:-\w+)*")
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")


def read_pdf(source: SourceFile) -> ParsedText:
    """The text of all pages, and of the document information title, author and date.

    Pages that hold a picture but no text are named in the metadata as `scanned_pages`, and in
    the error where there is no text at all.
    """
    with closing(_opened(source)) as document:
        pages = _Pages(document)
        told, metadata = _about(document)
        marks = _marks(document)
    if pages.scanned and not any(pages.lines):
        which = _ranges(pages.scanned)
        raise unreadable_document(
            source.filename, f"it is scanned: page {which} holds a picture of text, no text"
        )
    if pages.scanned:
        metadata["scanned_pages"] = pages.scanned
    writer = _Writer(pages.lines, marks)
    composer = writer.write()
    named = told or writer.title
    return ParsedText(composer.text, composer.blocks, named, composer.pages, metadata)


def _opened(source: SourceFile) -> pdfium.PdfDocument:
    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        # PDFium's last error may be that of an earlier document: a locked one says so itself.
        locked = error.err_code in (WRONG_PASSWORD, UNKNOWN_SECURITY) and LOCK in source.data
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
class _Pages:
    """The lines of each page; `scanned` are the numbers, from 1, of those that are pictures."""

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
                return lines(words, rules(page.raw, glyphs.turn))
            if has_image(page.raw):
                self.scanned.append(number + 1)
        return []


@dataclass(slots=True)
class _Writer:
    pages: Sequence[list[Line]]
    marks: Sequence[Mark]
    title: str = ""
    _words: set[str] | None = None

    def write(self) -> Composer:
        cleaned = [in_reading_order(page) for page in without_furniture(self.pages)]
        levels, parted = self._parted(cleaned)
        found = sum(map(len, levels))
        guessing = not found or found < TRUSTED * len(self.marks)
        look = looks(parted)
        composer = Composer()
        for known, page in zip(levels, parted, strict=True):
            composer.begin_page()
            for stretch in page:
                level = known.get(id(stretch.lines[0]), 0) or (
                    look.level(stretch) if guessing else 0
                )
                self._add(composer, stretch, level)
        headings = (block.title for block in composer.blocks if block.kind == "heading")
        largest = _plain(title(next(filter(None, parted), []), look))
        self.title = largest or next(headings, "")
        return composer

    def _parted(
        self, pages: Sequence[list[Line]]
    ) -> tuple[list[dict[int, int]], list[list[Stretch]]]:
        """(by page the level of each line that begins a heading of the outline, the stretches)"""
        levels, parted = [], []
        for number, page in enumerate(pages):
            here = (mark for mark in self.marks if mark.page == number)
            found = list(marked(page, here))
            levels.append({id(page[first]): mark.level for first, _, mark in found})
            parted.append(stretches(page, [(first, end) for first, end, _ in found]))
        return levels, parted

    def _add(self, composer: Composer, stretch: Stretch, level: int) -> None:
        if level:
            composer.add("heading", self._text(stretch.lines), level=level)
        elif stretch.kind == "table":
            write_rows(composer, [[_plain(cell) for cell in row] for row in rows(stretch)])
        elif stretch.kind == "code":
            composer.add("code", _code(stretch.lines))
        else:
            kind = "list" if stretch.kind == "list" else "paragraph"
            composer.add(kind, self._text(stretch.lines))  # type: ignore[arg-type]

    def _text(self, found: Sequence[Line]) -> str:
        """Lines as running text: words that were broken at their ends are whole again."""
        text = ""
        for line in found:
            text = self._joined(text, line.text) if text else line.text
        return _plain(text)

    def _joined(self, text: str, line: str) -> str:
        if not text.endswith(HYPHEN):
            spaceless = SPACELESS.match(text[-1]) and SPACELESS.match(line[:1])
            return text + line if spaceless or _open_hyphen(text) else f"{text} {line}"
        text = text[:-1]
        head = (COMPOUND.findall(text[-80:]) or [""])[-1].casefold()
        tail = (COMPOUND.findall(line[:80]) or [""])[0].casefold()
        compound = f"{head}-{tail}" in self._vocabulary() or not line[:1].islower()
        kept = compound and head + tail not in self._vocabulary()
        return f"{text}-{line}" if kept else text + line

    def _vocabulary(self) -> set[str]:
        """The document's words, compounds with and without their hyphens."""
        if self._words is None:
            texts = (line.text.casefold() for line in chain.from_iterable(self.pages))
            self._words = {word for text in texts for word in COMPOUND.findall(text)}
        return self._words


def _open_hyphen(text: str) -> bool:
    return len(text) > 1 and text[-1] == "-" and text[-2].isalnum()


def _plain(text: str) -> str:
    return text.replace(f"{HYPHEN} ", "").replace(HYPHEN, "-")


def _code(found: Sequence[Line]) -> str:
    """The lines with the indentation that their places on the page stand for."""
    left = min(line.left for line in found)
    pieces = []
    for line in found:
        width = max(0.1, (line.right - line.left) / max(1, len(line.text)))
        pieces.append(" " * min(80, round((line.left - left) / width)) + _plain(line.text))
    return "\n".join(pieces)


def _marks(document: pdfium.PdfDocument) -> list[Mark]:
    found: list[Mark] = []
    for bookmark in document.get_toc(max_depth=MAX_LEVELS):
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            found.append(Mark(bookmark.get_title(), bookmark.level + 1, page))
        if len(found) >= MAX_MARKS:
            break
    return found


def _about(document: pdfium.PdfDocument) -> tuple[str, dict[str, Any]]:
    """(the title, "author" and "date" as far as they are given)"""
    told = {key: " ".join(value.split()) for key, value in document.get_metadata_dict().items()}
    title = PROGRAM.sub("", told["Title"])
    metadata: dict[str, Any] = {}
    if told["Author"].lower().strip("()") not in NOBODY | {""}:
        metadata["author"] = told["Author"]
    if written := _date(told["ModDate"]) or _date(told["CreationDate"]):
        metadata["date"] = written
    return "" if NO_TITLE.fullmatch(title) else title, metadata


def _date(told: str) -> str:
    """A date of PDF as ISO 8601; empty where it is none."""
    match = DATE.match(told)
    if not match:
        return ""
    year, *rest = match.groups()[:6]
    month, day, hour, minute, second = (
        part or first for part, first in zip(rest, FIRST, strict=True)
    )
    sign, hours, minutes = match.groups()[6:]
    zone = f"{sign}{hours}:{minutes or '00'}" if sign else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone}")
    except ValueError:
        return ""
    return moment.isoformat()


def _ranges(numbers: Sequence[int]) -> str:
    """`1-3, 7`"""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:20])
