"""Reads the words of a PDF page with their places, through PDFium.

All lengths and places are in points, y upwards, on a page turned so that its text stands upright.
Lines are `pdf_lines`' matter, what is drawn `pdf_shapes`'.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

HYPHEN = "\x02"
"""PDFium's sign for a hyphen at the end of a line."""
LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xad": ""}
)
"""Nobody searches for what printers make of letters; soft hyphens go."""
MAX_CODE_POINT = 0x10FFFF
"""PDFium yields more for letters that have no character."""
INVALID_CHARACTERS = re.compile(
    "[\0\1\3-\b\v\f\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U0010ffff]"
)
"""What fonts yield that err about their letters."""
LINE_BREAKS = "\r\n"
"""What PDFium generates at the end of a line."""
BOLD_NAME = re.compile(r"bold|black|heavy|demi|cmbx|sfbx", re.I)
MONO_NAME = re.compile(r"mono|nimbusmon|courier|consol|typewriter|cmtt|sftt|menlo|fixed", re.I)
BOLD_WEIGHT = 600
"""Semi-bold, as CSS counts weights."""
FIXED_PITCH = 1
"""Bit 1 of a font descriptor's flags (ISO 32000-1, 9.8.2)."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word on line number `line` of its page; the page is turned so that lines run along x.

    Places and `size`, the height of its letters, are in points; `base` is the line that letters
    stand on.
    """

    text: str
    line: int
    left: float
    right: float
    bottom: float
    top: float
    base: float
    size: float
    bold: bool
    mono: bool

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


@dataclass(frozen=True, slots=True)
class Turn:
    """Turns the page by quarters, so that its text stands upright."""

    quarters: int

    def turn_point(self, x: float, y: float) -> tuple[float, float]:
        """Turn a place on the page."""
        return ((x, y), (y, -x), (-x, -y), (-y, x))[self.quarters]

    def turn_box(self, left: float, bottom: float, right: float, top: float) -> tuple[float, ...]:
        """Turn a box; returns left, bottom, right and top again."""
        if not self.quarters:
            return left, bottom, right, top
        (x0, y0), (x1, y1) = self.turn_point(left, bottom), self.turn_point(right, top)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


class Glyphs:
    """A text page's characters by their number."""

    def __init__(self, textpage: Any) -> None:
        self._page = textpage
        count = max(0, pdfium.FPDFText_CountChars(textpage))
        codes = (pdfium.FPDFText_GetUnicode(textpage, number) for number in range(count))
        self.text = INVALID_CHARACTERS.sub(
            " ", "".join(chr(min(code, MAX_CODE_POINT)) for code in codes)
        )
        self.turn = Turn(self._detect_quarters())

    def read_words(self) -> Iterator[Word]:
        """Yield the words in the order of the page; a hyphen at a line's end stays as `HYPHEN`."""
        line = 0
        start: int | None = None
        for number, character in enumerate(self.text + "\n"):
            breaks = character in LINE_BREAKS
            if character == HYPHEN and start is not None:
                yield self._build_word(start, number + 1, line)
                start, line = None, line + 1
            elif character.isspace() or character == HYPHEN:
                if start is not None:
                    yield self._build_word(start, number, line)
                start, line = None, line + breaks
            elif start is None:
                start = number

    def _build_word(self, start: int, end: int, line: int) -> Word:
        first, last = self._read_box(start), self._read_box(end - 1)
        name, flags = self._read_font(start)
        weight = pdfium.FPDFText_GetFontWeight(self._page, start)
        return Word(
            self.text[start:end].translate(LIGATURES),
            line,
            min(first[0], last[0]),
            max(first[2], last[2]),
            first[1],
            first[3],
            self._read_baseline(start),
            self._read_size(start),
            weight >= BOLD_WEIGHT or bool(BOLD_NAME.search(name)),
            bool(flags & FIXED_PITCH) or bool(MONO_NAME.search(name)),
        )

    def _read_box(self, number: int) -> tuple[float, ...]:
        box = pdfium.FS_RECTF()
        pdfium.FPDFText_GetLooseCharBox(self._page, number, box)
        return self.turn.turn_box(box.left, box.bottom, box.right, box.top)

    def _read_baseline(self, number: int) -> float:
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(self._page, number, x, y)
        return self.turn.turn_point(x.value, y.value)[1]

    def _read_size(self, number: int) -> float:
        matrix = pdfium.FS_MATRIX()
        scaled = pdfium.FPDFText_GetMatrix(self._page, number, matrix)
        scale = math.hypot(matrix.c, matrix.d) if scaled else 1.0
        return float(pdfium.FPDFText_GetFontSize(self._page, number) * scale)

    def _read_font(self, number: int) -> tuple[str, int]:
        name = ctypes.create_string_buffer(128)
        flags = ctypes.c_int()
        pdfium.FPDFText_GetFontInfo(self._page, number, name, len(name), flags)
        return name.value.decode("latin-1"), flags.value

    def _detect_quarters(self) -> int:
        """Return by how many quarters most of the first characters are turned."""
        sample = [at for at, each in enumerate(self.text[:400]) if not each.isspace()][:40]
        angles = [pdfium.FPDFText_GetCharAngle(self._page, at) for at in sample]
        turns = [round(-angle / (math.pi / 2)) % 4 for angle in angles if angle >= 0]
        return max(set(turns), key=turns.count) if turns else 0
