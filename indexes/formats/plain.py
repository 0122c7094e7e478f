"""Reads plain text and reStructuredText: paragraphs between blank lines, underlined headings.

Headings are those of the docutils specification, "Sections": a line underlined, or over- and
underlined, with one punctuation mark. Other markup stays as it is.
"""

from __future__ import annotations

import re

from indexes.reading.content import Block, ParsedText, first_heading
from indexes.reading.source import SourceFile

PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")
UNDERLINE = re.compile(r"([=\-~^\"'`#*+:.])\1{2,}\s*")
"""A line of three or more of one of the marks that docutils recommends."""


def read_plain(source: SourceFile) -> ParsedText:
    """Return the text itself with its paragraphs and headings."""
    text = source.read_text()
    blocks: list[Block] = []
    styles: list[str] = []
    for match in PARAGRAPH.finditer(text):
        blocks += _split_heading(match, styles) or [Block("paragraph", match.start(), match.end())]
    title = first_heading(blocks)
    return ParsedText(text, [block for block in blocks if block.end > block.start], title)


def _split_heading(match: re.Match[str], styles: list[str]) -> list[Block] | None:
    """Return a heading and what follows it without a blank line; None without a heading.

    As in reStructuredText the level of an underline is the order in which its style appeared;
    `styles` holds those of the document so far and is added to.
    """
    lines = match.group().split("\n")
    over = len(lines) > 2 and UNDERLINE.fullmatch(lines[0]) and lines[2].strip() == lines[0].strip()
    title = lines[1 if over else 0].strip()
    under = lines[2 if over else 1] if len(lines) > 1 else ""
    if not UNDERLINE.fullmatch(under) or UNDERLINE.fullmatch(title):
        return None
    if len(under.strip()) < len(title):
        return None
    style = ("=" if over else "") + under[0]
    if style not in styles:
        styles.append(style)
    used = lines[: 3 if over else 2]
    end = match.start() + len("\n".join(used))
    heading = Block("heading", match.start(), end, styles.index(style) + 1, title)
    rest = match.string[end : match.end()]
    if not rest.strip():
        return [heading]
    begin = end + len(rest) - len(rest.lstrip())
    return [heading, Block("paragraph", begin, match.end())]
