"""Which stretches of a PDF are headings: as its outline says, else as their letters look."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexes.formats.pdf_layout import Stretch
from indexes.formats.pdf_lines import Line

MAX_CHARS = 200
MAX_LINES = 3
MAX_LEVEL = 6
LARGER = 1.12
TITLE_LARGER = 1.3
MAX_BOLD_CHARS = 100
NO_HEADING_END = re.compile(r"[.,;:]$")
NUMBERING_CHARS = 12
"""What may stand before an outline's title on the page: `Chapter 12`, `A.2.1`."""
TRUSTED = 0.6
"""An outline that names so many of its headings as they stand on their pages names them all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the outline; `page` counts from 0."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class Looks:
    """How headings look: `sizes`, in points, from the largest; after them comes what is bold."""

    body: float
    sizes: tuple[float, ...]
    bold: bool

    def level(self, stretch: Stretch) -> int:
        """The level of a stretch; 0 where it is no heading."""
        if not _may_be_heading(stretch):
            return 0
        size = _rounded(stretch.size)
        if size in self.sizes:
            return min(MAX_LEVEL, self.sizes.index(size) + 1)
        return (
            min(MAX_LEVEL, len(self.sizes) + 1) if self.bold and _stands_out(stretch, self) else 0
        )


def looks(pages: Sequence[Sequence[Stretch]]) -> Looks:
    """How the headings of a document look beside the rest of its text."""
    chars: Counter[float] = Counter()
    bold_chars = 0
    for stretch in (each for stretches in pages for each in stretches):
        for line in stretch.lines:
            chars[_rounded(line.size)] += len(line.text)
            bold_chars += len(line.text) * line.bold
    body = chars.most_common(1)[0][0] if chars else 0.0
    larger = {
        _rounded(stretch.size)
        for stretches in pages
        for stretch in stretches
        if _may_be_heading(stretch) and stretch.size > LARGER * body
    }
    return Looks(body, tuple(sorted(larger, reverse=True)), bold_chars * 2 < chars.total())


def marked(lines: Sequence[Line], marks: Iterable[Mark]) -> Iterator[tuple[int, int, Mark]]:
    """(first, last + 1, mark) of the lines on a page that its marks speak of, in order."""
    keys = [_key(line.text) for line in lines]
    wanted = [(key, mark) for mark in marks if (key := _key(mark.title))]
    start = 0
    while wanted and start < len(lines):
        found = _found_at(keys, start, wanted)
        if found is None:
            start += 1
            continue
        end, entry = found
        wanted.remove(entry)
        yield start, end, entry[1]
        start = end


def _found_at(
    keys: Sequence[str], start: int, wanted: Sequence[tuple[str, Mark]]
) -> tuple[int, tuple[str, Mark]] | None:
    """(last + 1, entry) of the heading that begins at `start`, on as few lines as it can."""
    for end in range(start + 1, min(start + MAX_LINES, len(keys)) + 1):
        text = "".join(keys[start:end])
        for entry in wanted:
            rest = len(text) - len(entry[0])
            # What ends here may begin further down: a line above it is none of its own.
            own = end == start + 1 or rest < len(keys[start])
            if own and 0 <= rest <= NUMBERING_CHARS and text.endswith(entry[0]):
                return end, entry
    return None


def _key(text: str) -> str:
    return "".join(filter(str.isalnum, text[:1000])).casefold()


def _may_be_heading(stretch: Stretch) -> bool:
    if stretch.kind not in ("text", "list") or len(stretch.lines) > MAX_LINES:
        return False
    text = " ".join(line.text for line in stretch.lines)
    return len(text) <= MAX_CHARS and any(map(str.isalpha, text))


def _stands_out(stretch: Stretch, looks: Looks) -> bool:
    text = " ".join(line.text for line in stretch.lines)
    return (
        stretch.bold
        and stretch.size > 0.95 * looks.body
        and len(text) <= MAX_BOLD_CHARS
        and not NO_HEADING_END.search(text)
    )


def _rounded(size: float) -> float:
    """To half a point: the same letters come in sizes that differ by a hair."""
    return round(size * 2) / 2


def title(stretches: Sequence[Stretch], look: Looks) -> str:
    """What stands largest on the first page, where that is larger than text."""
    fitting = [stretch for stretch in stretches if _may_be_heading(stretch)]
    largest = max(fitting, key=lambda stretch: stretch.size, default=None)
    if largest is None or largest.size < TITLE_LARGER * look.body:
        return ""
    return " ".join(line.text for line in largest.lines)
