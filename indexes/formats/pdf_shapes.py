"""Reads what is drawn on a PDF page beside its text, through PDFium: straight lines, and pictures.

Lengths and places are in points, y upwards, on a page turned as `pdf_words` turns it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium

from indexes.formats.pdf_words import Turn

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
class Rule:
    """A straight line along x or, if `upright`, along y: at `at`, from `start` to
    `end`, in points.
    """

    upright: bool
    at: float
    start: float
    end: float


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
        point = turn.turn_point(
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
