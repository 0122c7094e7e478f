"""Cutting a text where it may be cut: into scenes and chapters, word for word.

Owns the filters `scenes`, `chapters` and `spoken`. Invariant: the pieces of a text, joined, are the
text; nothing is added or lost but white space between them.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import Any

from graphs.templates.markdown import drop_fenced_code, drop_marks, find_headings
from graphs.templates.work import count_prose
from models.text.sentences import find_prose_breaks

BREAK = re.compile(r"\n\s*\n")
CHAPTER_WORDS = 250
"""About so many words are a chapter where a text has no headings."""
MAX_PIECES = 200
PARAGRAPH_WEIGHT = 0.4
"""A cut between paragraphs may be 2.5 times as far from the ideal as one between sentences."""


def scenes(text: Any, count: int = 6) -> list[str]:
    """Cut a text between sentences into at most `count` pieces of about the same length.

    Where the text has about so many paragraphs itself, they are the pieces.
    """
    whole = str(text or "").strip()
    count = max(1, min(int(count), MAX_PIECES))
    count_prose(whole)
    paragraphs = [part.strip() for part in BREAK.split(whole) if part.strip()]
    if 1 < len(paragraphs) <= count <= 1.5 * len(paragraphs):
        return paragraphs
    ends = [*(end for end in find_prose_breaks(whole) if end < len(whole)), len(whole)]
    cuts = [0, *_choose_cuts(whole, ends[:-1], min(count, len(ends))), len(whole)]
    pieces = (whole[start:end].strip() for start, end in pairwise(cuts))
    return [piece for piece in pieces if piece]


def _choose_cuts(text: str, ends: list[int], count: int) -> list[int]:
    """Choose the ends that are nearest to equal parts; ends of paragraphs count as nearer."""
    paragraphs = [end for end in ends if BREAK.search(text, max(end - 4, 0), end)]
    cuts: list[int] = []
    for number in range(1, count):
        first = bisect_right(ends, cuts[-1]) if cuts else 0
        # As many ends must be left as there are cuts to come.
        last = ends[len(ends) - (count - number)]
        ideal = len(text) * number / count
        near = [
            *((1.0, end) for end in _nearest(ends, ends[first], last, ideal)),
            *((PARAGRAPH_WEIGHT, end) for end in _nearest(paragraphs, ends[first], last, ideal)),
        ]
        cuts.append(min(near, key=lambda cut: (abs(cut[1] - ideal) * cut[0], cut[1]))[1])
    return cuts


def _nearest(ends: list[int], first: int, last: int, ideal: float) -> list[int]:
    """Return the ends on both sides of the ideal, of those from `first` to `last`."""
    low, high = bisect_left(ends, first), bisect_right(ends, last)
    middle = bisect_left(ends, ideal, low, high)
    return ends[max(middle - 1, low) : min(middle + 1, high)]


def chapters(text: Any) -> list[dict[str, str]]:
    """Cut a text into chapters of `title` and `text`, by its headings.

    Where it has none, it is cut by its length, and chapters are called by how they begin.
    """
    whole = str(text or "").strip()
    headings = find_headings(whole, MAX_PIECES)
    if not headings:
        words = len(whole.split())
        parts = scenes(whole, -(-words // CHAPTER_WORDS) or 1)
        return [{"title": _opening(part), "text": part} for part in parts]
    cut = []
    if before := whole[: headings[0].start].strip():
        cut.append({"title": _opening(before), "text": before})
    ends = [*(heading.start for heading in headings[1:]), len(whole)]
    for heading, end in zip(headings, ends, strict=True):
        title = spoken(heading.title)
        body = whole[heading.end : end].strip()
        stop = "" if title.endswith((".", "!", "?", "…")) else "."
        cut.append({"title": title, "text": f"{title}{stop}\n\n{body}".strip()})
    return cut


def _opening(text: str) -> str:
    words = spoken(text).split()
    return " ".join(words[:6]) + ("…" if len(words) > 6 else "")


def spoken(text: Any) -> str:
    """Write a text as it is said: without Markdown's marks, links, code and citation numbers."""
    return drop_marks(drop_fenced_code(str(text or ""))).strip()
