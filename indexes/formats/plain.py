"""Plain text and reStructuredText: paragraphs between blank lines, underlined headings."""

from __future__ import annotations

import re

from indexes.reading.documents import Block, ParsedText, SourceFile

PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")
UNDERLINE = re.compile(r"([=\-~^\"'`#*+:.])\1{2,}\s*")


def read_plain(source: SourceFile) -> ParsedText:
    """The text itself, its paragraphs, and the first heading."""
    text = source.text()
    blocks: list[Block] = []
    styles: list[str] = []
    for match in PARAGRAPH.finditer(text):
        blocks += _heading(match, styles) or [Block("paragraph", match.start(), match.end())]
    title = next((block.title for block in blocks if block.kind == "heading"), "")
    return ParsedText(text, [block for block in blocks if block.end > block.start], title)


def _heading(match: re.Match[str], styles: list[str]) -> list[Block] | None:
    """A heading and what follows it without a blank line; None where there is no heading.

    As in reStructuredText the level of an underline is the order in which its style appeared.
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
