"""Cutting a text where it may be cut: into scenes and chapters, word for word."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from models.text.sentences import find_prose_breaks

BREAK = re.compile(r"\n\s*\n")
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
CHAPTER_WORDS = 250
MAX_PIECES = 200

FENCED = re.compile(r"^(```|~~~).*?^\1\s*?$", re.DOTALL | re.MULTILINE)
NOT_SAID = (
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\s?\[\d+(?:,\s*\d+)*\]"), ""),
    (re.compile(r"^[ \t]*(?:#{1,6}|[-*+]|\d+[.)]|>)[ \t]+", re.MULTILINE), ""),
    (re.compile(r"(\*{1,3}|`+|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE), ""),
)


def scenes(text: Any, count: int = 6) -> list[str]:
    """At most `count` pieces of the text in order, cut between sentences, about as long as each
    other. Where the text has so few paragraphs itself, they are the pieces."""
    whole = str(text or "").strip()
    wanted = max(1, min(int(count), MAX_PIECES))
    own = [part.strip() for part in BREAK.split(whole) if part.strip()]
    if 1 < len(own) <= wanted <= 1.5 * len(own):
        return own
    ends = [*(end for end in find_prose_breaks(whole) if end < len(whole)), len(whole)]
    cuts = [0, *_cuts(whole, ends[:-1], min(wanted, len(ends))), len(whole)]
    pieces = (whole[start:end].strip() for start, end in pairwise(cuts))
    return [piece for piece in pieces if piece]


def _cuts(text: str, ends: list[int], count: int) -> list[int]:
    """The ends that are nearest to equal parts; the end of a paragraph is nearer than others."""
    found: list[int] = []
    for place in range(1, count):
        left = count - place
        open_ = [end for end in ends if not found or end > found[-1]]
        open_ = open_[: len(open_) - left + 1]
        ideal = len(text) * place / count
        found.append(min(open_, key=lambda end: _distance(text, end, ideal)))
    return found


def _distance(text: str, end: int, ideal: float) -> float:
    return abs(end - ideal) * (0.4 if BREAK.search(text[max(end - 4, 0) : end]) else 1.0)


def chapters(text: Any) -> list[dict[str, str]]:
    """The text as chapters of `title` and `text`: by its headings, or where it has none in pieces
    that are called by how they begin."""
    whole = str(text or "").strip()
    headings = list(HEADING.finditer(whole))[:MAX_PIECES]
    if not headings:
        words = len(whole.split())
        parts = scenes(whole, -(-words // CHAPTER_WORDS) or 1)
        return [{"title": _opening(part), "text": part} for part in parts]
    found = []
    if before := whole[: headings[0].start()].strip():
        found.append({"title": _opening(before), "text": before})
    ends = [*(heading.start() for heading in headings[1:]), len(whole)]
    for heading, end in zip(headings, ends, strict=True):
        title = spoken(heading[1])
        body = whole[heading.end() : end].strip()
        stop = "" if title.endswith((".", "!", "?", "…")) else "."
        found.append({"title": title, "text": f"{title}{stop}\n\n{body}".strip()})
    return found


def _opening(text: str) -> str:
    words = spoken(text).split()
    return " ".join(words[:6]) + ("…" if len(words) > 6 else "")


def spoken(text: Any) -> str:
    """The text as it is said: without Markdown's marks, links, code and numbers of citations."""
    said = FENCED.sub("", str(text or ""))
    for pattern, instead in NOT_SAID:
        said = pattern.sub(instead, said)
    return re.sub(r"\n{3,}", "\n\n", said).strip()
