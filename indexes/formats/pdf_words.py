"""Reads the words of a PDF page with their places, and the lines ruled on it, through PDFium.

All lengths and places are in points, y upwards, on a page turned so that its text stands upright.
What is made of words and rules is `pdf_lines`' matter.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
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
MAX_OBJECTS = 20_000
"""Shapes looked at on a page: one with more is a drawing, and has no tables."""
MAX_FORM_DEPTH = 3
"""A scan is not hidden deeper than this,"""
MAX_FORM_OBJECTS = 50
"""nor behind more than this."""
MAX_RULES = 600
"""More than these make a drawing, not a table."""
MAX_RULE_SLANT = 0.5
"""How far, in points, the ends of a rule may differ in height."""
MIN_RULE_LENGTH = 6.0
"""In points: shorter lines are parts of letters and marks."""


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
class Rule:
    """A straight line along x or, if `upright`, along y: at `at`, from `start` to
    `end`, in points.
    """

    upright: bool
    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Turns the page by quarters, so that its text stands upright."""

    quarters: int

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Turn a place on the page."""
        return ((x, y), (y, -x), (-x, -y), (-y, x))[self.quarters]

    def box(self, left: float, bottom: float, right: float, top: float) -> tuple[float, ...]:
        """Turn a box; returns left, bottom, right and top again."""
        if not self.quarters:
            return left, bottom, right, top
        (x0, y0), (x1, y1) = self.point(left, bottom), self.point(right, top)
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
        self.turn = Turn(self._quarters())

    def words(self) -> Iterator[Word]:
        """Yield the words in the order of the page; a hyphen at a line's end stays as `HYPHEN`."""
        line = 0
        start: int | None = None
        for number, character in enumerate(self.text + "\n"):
            breaks = character in LINE_BREAKS
            if character == HYPHEN and start is not None:
                yield self._word(start, number + 1, line)
                start, line = None, line + 1
            elif character.isspace() or character == HYPHEN:
                if start is not None:
                    yield self._word(start, number, line)
                start, line = None, line + breaks
            elif start is None:
                start = number

    def _word(self, start: int, end: int, line: int) -> Word:
        first, last = self._box(start), self._box(end - 1)
        name, flags = self._font(start)
        weight = pdfium.FPDFText_GetFontWeight(self._page, start)
        return Word(
            self.text[start:end].translate(LIGATURES),
            line,
            min(first[0], last[0]),
            max(first[2], last[2]),
            first[1],
            first[3],
            self._base(start),
            self._size(start),
            weight >= BOLD_WEIGHT or bool(BOLD_NAME.search(name)),
            bool(flags & FIXED_PITCH) or bool(MONO_NAME.search(name)),
        )

    def _box(self, number: int) -> tuple[float, ...]:
        box = pdfium.FS_RECTF()
        pdfium.FPDFText_GetLooseCharBox(self._page, number, box)
        return self.turn.box(box.left, box.bottom, box.right, box.top)

    def _base(self, number: int) -> float:
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(self._page, number, x, y)
        return self.turn.point(x.value, y.value)[1]

    def _size(self, number: int) -> float:
        matrix = pdfium.FS_MATRIX()
        scaled = pdfium.FPDFText_GetMatrix(self._page, number, matrix)
        scale = math.hypot(matrix.c, matrix.d) if scaled else 1.0
        return float(pdfium.FPDFText_GetFontSize(self._page, number) * scale)

    def _font(self, number: int) -> tuple[str, int]:
        name = ctypes.create_string_buffer(128)
        flags = ctypes.c_int()
        pdfium.FPDFText_GetFontInfo(self._page, number, name, len(name), flags)
        return name.value.decode("latin-1"), flags.value

    def _quarters(self) -> int:
        """Return by how many quarters most of the first characters are turned."""
        sample = [at for at, each in enumerate(self.text[:400]) if not each.isspace()][:40]
        angles = [pdfium.FPDFText_GetCharAngle(self._page, at) for at in sample]
        turns = [round(-angle / (math.pi / 2)) % 4 for angle in angles if angle >= 0]
        return max(set(turns), key=turns.count) if turns else 0


def read_rules(page: Any, turn: Turn) -> list[Rule]:
    """Return the straight lines of a page; none where there are so many that they
    make a drawing.
    """
    count = pdfium.FPDFPage_CountObjects(page)
    page_rules: list[Rule] = []
    if count > MAX_OBJECTS:
        return page_rules
    for number in range(count):
        shape = pdfium.FPDFPage_GetObject(page, number)
        if pdfium.FPDFPageObj_GetType(shape) == pdfium.FPDF_PAGEOBJ_PATH:
            page_rules += _read_path_rules(shape, turn)
        if len(page_rules) > MAX_RULES:
            return []
    return page_rules


def _read_path_rules(shape: Any, turn: Turn) -> Iterator[Rule]:
    points = list(_walk_corners(shape, turn))
    for (x0, y0, _), (x1, y1, moves) in pairwise(points):
        if moves:
            continue
        if abs(y1 - y0) <= MAX_RULE_SLANT and abs(x1 - x0) >= MIN_RULE_LENGTH:
            yield Rule(False, (y0 + y1) / 2, min(x0, x1), max(x0, x1))
        elif abs(x1 - x0) <= MAX_RULE_SLANT and abs(y1 - y0) >= MIN_RULE_LENGTH:
            yield Rule(True, (x0 + x1) / 2, min(y0, y1), max(y0, y1))


def _walk_corners(shape: Any, turn: Turn) -> Iterator[tuple[float, float, bool]]:
    """Yield the corners of a path on its page, with whether the pen is lifted to get there."""
    count = pdfium.FPDFPath_CountSegments(shape)
    if count > MAX_RULES:
        return
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(shape, matrix)
    first: tuple[float, float] | None = None
    for number in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(shape, number)
        x, y = ctypes.c_float(), ctypes.c_float()
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = turn.point(
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        moves = pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_MOVETO
        first = point if moves or first is None else first
        yield *point, moves
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield *first, False


def has_image(page: Any) -> bool:
    """Tell whether anything on the page is a picture, a scan for example."""
    count = min(pdfium.FPDFPage_CountObjects(page), MAX_OBJECTS)
    objects = (pdfium.FPDFPage_GetObject(page, number) for number in range(count))
    return any(_is_image(each, MAX_FORM_DEPTH) for each in objects)


def _is_image(shape: Any, depth: int) -> bool:
    """Tell whether a shape is a picture, or a form with one in it."""
    kind = pdfium.FPDFPageObj_GetType(shape)
    if kind != pdfium.FPDF_PAGEOBJ_FORM or not depth:
        return bool(kind == pdfium.FPDF_PAGEOBJ_IMAGE)
    count = min(pdfium.FPDFFormObj_CountObjects(shape), MAX_FORM_OBJECTS)
    inner = (pdfium.FPDFFormObj_GetObject(shape, number) for number in range(count))
    return any(_is_image(each, depth - 1) for each in inner)
