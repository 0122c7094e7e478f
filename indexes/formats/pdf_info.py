"""Reads what a PDF says of itself: its outline and its document information (ISO 32000-1, 12.3.3
and 14.3.3), without what programs write where people wrote nothing.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pypdfium2 as pdfium

from indexes.formats.pdf_headings import (
    OutlineEntry,
)

MAX_OUTLINE_ENTRIES = 20_000
"""Outlines may refer to themselves; what comes later is left out."""
MAX_OUTLINE_LEVELS = 6
DATE_DEFAULTS = ("01", "01", "00", "00", "00")
"""What a date that leaves them out means: month, day, hour, minute, second."""
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


def read_outline(document: pdfium.PdfDocument) -> list[OutlineEntry]:
    """Return the outline's entries that lead to a page, the first `MAX_OUTLINE_ENTRIES` of them."""
    entries: list[OutlineEntry] = []
    for bookmark in document.get_toc(max_depth=MAX_OUTLINE_LEVELS):
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            entries.append(OutlineEntry(bookmark.get_title(), bookmark.level + 1, page))
        if len(entries) >= MAX_OUTLINE_ENTRIES:
            break
    return entries


def read_metadata(document: pdfium.PdfDocument) -> tuple[str, dict[str, Any]]:
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
