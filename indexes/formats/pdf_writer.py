"""Writes the lines of PDF pages as a document: headings, paragraphs, lists, code and tables.

Owns hyphens at line ends, and whether the outline or the looks of letters tell what a heading is.
Order and stretches come from `pdf_order` and `pdf_layout`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from indexes.formats.composer import Composer
from indexes.formats.pdf_furniture import drop_furniture
from indexes.formats.pdf_headings import (
    TRUSTED_OUTLINE_SHARE,
    OutlineEntry,
    find_title,
    locate_entries,
    measure_looks,
)
from indexes.formats.pdf_layout import Stretch, align_rows, split_stretches
from indexes.formats.pdf_lines import Line
from indexes.formats.pdf_order import sort_for_reading
from indexes.formats.pdf_words import HYPHEN
from indexes.formats.rows import write_rows
from indexes.reading.content import (
    first_heading,
)

HYPHENATED_WORD = re.compile(r"\w+(?:-\w+)*")
SPACELESS_SCRIPT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")
"""Characters of Chinese and Japanese, which put no spaces between words."""


@dataclass(slots=True)
class PdfWriter:
    """Writes the pages' lines as headings, paragraphs, lists, code and tables; finds the title."""

    pages: Sequence[list[Line]]
    marks: Sequence[OutlineEntry]
    title: str = ""
    _words: set[str] | None = None

    def write(self) -> Composer:
        cleaned = [sort_for_reading(page) for page in drop_furniture(self.pages)]
        levels, parted = self._split_pages(cleaned)
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
                self._add_stretch(composer, stretch, level)
        largest = _resolve_hyphens(find_title(next(filter(None, parted), []), look))
        self.title = largest or first_heading(composer.blocks)
        return composer

    def _split_pages(
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

    def _add_stretch(self, composer: Composer, stretch: Stretch, level: int) -> None:
        if level:
            composer.add("heading", self._join_lines(stretch.lines), level=level)
        elif stretch.kind == "table":
            write_rows(
                composer, [[_resolve_hyphens(cell) for cell in row] for row in align_rows(stretch)]
            )
        elif stretch.kind == "code":
            composer.add("code", _indent_code(stretch.lines))
        else:
            kind = "list" if stretch.kind == "list" else "paragraph"
            composer.add(kind, self._join_lines(stretch.lines))  # type: ignore[arg-type]

    def _join_lines(self, lines: Sequence[Line]) -> str:
        """Join lines to running text: words that were broken at their ends are whole again."""
        text = ""
        for line in lines:
            text = self._join_line(text, line.text) if text else line.text
        return _resolve_hyphens(text)

    def _join_line(self, text: str, line: str) -> str:
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
        compound = f"{head}-{tail}" in self._collect_words() or not line[:1].islower()
        keeps_hyphen = compound and head + tail not in self._collect_words()
        return f"{text}-{line}" if keeps_hyphen else text + line

    def _collect_words(self) -> set[str]:
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
