"""Cutting a text where it may be cut: into scenes and chapters, word for word.

Owns the filters `scenes`, `chapters` and `spoken`. Invariant: the pieces of a text, joined, are the
text; nothing is added or lost but white space between them.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from models.text.sentences import find_prose_breaks

BREAK = re.compile(r"\n\s*\n")
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
CHAPTER_WORDS = 250
"""About so many words are a chapter where a text has no headings."""
MAX_PIECES = 200
PARAGRAPH_WEIGHT = 0.4
"""A cut between paragraphs may be 2.5 times as far from the ideal as one between sentences."""

FENCED = re.compile(r"^(```|~~~).*?^\1\s*?$", re.DOTALL | re.MULTILINE)
UNSPOKEN = (
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\s?\[\d+(?:,\s*\d+)*\]"), ""),
    (re.compile(r"^[ \t]*(?:#{1,6}|[-*+]|\d+[.)]|>)[ \t]+", re.MULTILINE), ""),
    (re.compile(r"(\*{1,3}|`+|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE), ""),
)


def scenes(text: Any, count: int = 6) -> list[str]:
    """Cut a text between sentences into at most `count` pieces of about the same length.

    Where the text has about so many paragraphs itself, they are the pieces.
    """
    whole = str(text or "").strip()
    count = max(1, min(int(count), MAX_PIECES))
    paragraphs = [part.strip() for part in BREAK.split(whole) if part.strip()]
    if 1 < len(paragraphs) <= count <= 1.5 * len(paragraphs):
        return paragraphs
    ends = [*(end for end in find_prose_breaks(whole) if end < len(whole)), len(whole)]
    cuts = [0, *_choose_cuts(whole, ends[:-1], min(count, len(ends))), len(whole)]
    pieces = (whole[start:end].strip() for start, end in pairwise(cuts))
    return [piece for piece in pieces if piece]


def _choose_cuts(text: str, ends: list[int], count: int) -> list[int]:
    """Choose the ends that are nearest to equal parts; ends of paragraphs count as nearer."""
    cuts: list[int] = []
    for number in range(1, count):
        remaining = count - number
        candidates = [end for end in ends if not cuts or end > cuts[-1]]
        # As many ends must be left as there are cuts to come.
        candidates = candidates[: len(candidates) - remaining + 1]
        ideal = len(text) * number / count
        cuts.append(min(candidates, key=lambda end: _distance(text, end, ideal)))
    return cuts


def _distance(text: str, end: int, ideal: float) -> float:
    after_paragraph = BREAK.search(text[max(end - 4, 0) : end])
    return abs(end - ideal) * (PARAGRAPH_WEIGHT if after_paragraph else 1.0)


def chapters(text: Any) -> list[dict[str, str]]:
    """Cut a text into chapters of `title` and `text`, by its headings.

    Where it has none, it is cut by its length, and chapters are called by how they begin.
    """
    whole = str(text or "").strip()
    headings = list(HEADING.finditer(whole))[:MAX_PIECES]
    if not headings:
        words = len(whole.split())
        parts = scenes(whole, -(-words // CHAPTER_WORDS) or 1)
        return [{"title": _opening(part), "text": part} for part in parts]
    cut = []
    if before := whole[: headings[0].start()].strip():
        cut.append({"title": _opening(before), "text": before})
    ends = [*(heading.start() for heading in headings[1:]), len(whole)]
    for heading, end in zip(headings, ends, strict=True):
        title = spoken(heading[1])
        body = whole[heading.end() : end].strip()
        stop = "" if title.endswith((".", "!", "?", "…")) else "."
        cut.append({"title": title, "text": f"{title}{stop}\n\n{body}".strip()})
    return cut


def _opening(text: str) -> str:
    words = spoken(text).split()
    return " ".join(words[:6]) + ("…" if len(words) > 6 else "")


def spoken(text: Any) -> str:
    """Write a text as it is said: without Markdown's marks, links, code and citation numbers."""
    speech = FENCED.sub("", str(text or ""))
    for pattern, replacement in UNSPOKEN:
        speech = pattern.sub(replacement, speech)
    return re.sub(r"\n{3,}", "\n\n", speech).strip()
