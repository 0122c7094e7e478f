"""Tells which stretches of a PDF are headings: as its outline says, else as their letters look.

Pure. Sizes are in points, levels count from 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexes.formats.pdf_layout import Stretch
from indexes.formats.pdf_lines import Line

MAX_HEADING_CHARS = 200
"""What is longer is no heading, however large its letters."""
MAX_HEADING_LINES = 3
MAX_LEVEL = 6
MIN_HEADING_SIZE = 1.12
"""Of the body's letter height."""
MIN_TITLE_SIZE = 1.3
"""Of the body's letter height."""
MAX_BOLD_HEADING_CHARS = 100
"""Bold text of the body's size must be short to be a heading."""
SENTENCE_PUNCTUATION = re.compile(r"[.,;:]$")
MAX_NUMBERING_CHARS = 12
"""What may stand before an outline's title on the page: `Chapter 12`, `A.2.1`."""
TRUSTED_OUTLINE_SHARE = 0.6
"""An outline that names so many of its headings as they stand on their pages names them all."""


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """An entry of the outline; `page` counts from 0."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class HeadingLooks:
    """How headings look: `sizes`, in points, from the largest; after them comes what is bold."""

    body: float
    sizes: tuple[float, ...]
    bold: bool

    def level(self, stretch: Stretch) -> int:
        """Return the level of a stretch; 0 where it is no heading."""
        if not _can_be_heading(stretch):
            return 0
        size = _round_size(stretch.size)
        if size in self.sizes:
            return min(MAX_LEVEL, self.sizes.index(size) + 1)
        return (
            min(MAX_LEVEL, len(self.sizes) + 1) if self.bold and _stands_out(stretch, self) else 0
        )


def measure_looks(pages: Sequence[Sequence[Stretch]]) -> HeadingLooks:
    """Measure how the headings of a document look beside the rest of its text."""
    chars: Counter[float] = Counter()
    bold_chars = 0
    for stretch in (each for stretches in pages for each in stretches):
        for line in stretch.lines:
            chars[_round_size(line.size)] += len(line.text)
            bold_chars += len(line.text) * line.bold
    body = chars.most_common(1)[0][0] if chars else 0.0
    larger = {
        _round_size(stretch.size)
        for stretches in pages
        for stretch in stretches
        if _can_be_heading(stretch) and stretch.size > MIN_HEADING_SIZE * body
    }
    return HeadingLooks(body, tuple(sorted(larger, reverse=True)), bold_chars * 2 < chars.total())


def locate_entries(
    lines: Sequence[Line], entries: Iterable[OutlineEntry]
) -> Iterator[tuple[int, int, OutlineEntry]]:
    """Yield (first, last + 1, entry) of the lines on a page that outline entries name, in order."""
    keys = [_normalize(line.text) for line in lines]
    remaining = [(key, entry) for entry in entries if (key := _normalize(entry.title))]
    start = 0
    while remaining and start < len(lines):
        matched = _match_at(keys, start, remaining)
        if matched is None:
            start += 1
            continue
        end, entry = matched
        remaining.remove(entry)
        yield start, end, entry[1]
        start = end


def _match_at(
    keys: Sequence[str], start: int, remaining: Sequence[tuple[str, OutlineEntry]]
) -> tuple[int, tuple[str, OutlineEntry]] | None:
    """Return (last + 1, (key, entry)) of the heading that begins at `start`, on as few lines as it
    can.

    None where no remaining entry is named there.
    """
    for end in range(start + 1, min(start + MAX_HEADING_LINES, len(keys)) + 1):
        text = "".join(keys[start:end])
        for entry in remaining:
            rest = len(text) - len(entry[0])
            # What ends here may begin further down: a line above it is none of its own.
            own = end == start + 1 or rest < len(keys[start])
            if own and 0 <= rest <= MAX_NUMBERING_CHARS and text.endswith(entry[0]):
                return end, entry
    return None


def _normalize(text: str) -> str:
    return "".join(filter(str.isalnum, text[:1000])).casefold()


def _can_be_heading(stretch: Stretch) -> bool:
    if stretch.kind not in ("text", "list") or len(stretch.lines) > MAX_HEADING_LINES:
        return False
    text = " ".join(line.text for line in stretch.lines)
    return len(text) <= MAX_HEADING_CHARS and any(map(str.isalpha, text))


def _stands_out(stretch: Stretch, looks: HeadingLooks) -> bool:
    text = " ".join(line.text for line in stretch.lines)
    return (
        stretch.bold
        and stretch.size > 0.95 * looks.body
        and len(text) <= MAX_BOLD_HEADING_CHARS
        and not SENTENCE_PUNCTUATION.search(text)
    )


def _round_size(size: float) -> float:
    """Round to half a point: the same letters come in sizes that differ by a hair."""
    return round(size * 2) / 2


def find_title(stretches: Sequence[Stretch], look: HeadingLooks) -> str:
    """Return what stands largest on the first page, where that is larger than text;
    else nothing.
    """
    fitting = [stretch for stretch in stretches if _can_be_heading(stretch)]
    largest = max(fitting, key=lambda stretch: stretch.size, default=None)
    if largest is None or largest.size < MIN_TITLE_SIZE * look.body:
        return ""
    return " ".join(line.text for line in largest.lines)
