"""Reads Markdown (CommonMark with tables): spans refer to the source as it is, markup included.

The parser yields lines; this module turns them into character offsets and fills what the parser has
no token for, so that nothing of the source is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from config.yaml_reader import read_yaml
from indexes.reading.content import Block, Kind, ParsedText, first_heading, trim_span
from indexes.reading.source import SourceFile

NEWLINE = re.compile(r"\r\n|\r|\n")
FRONT_MATTER = re.compile(
    r"---[ \t]*(?:\r\n|\r|\n)(.*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\r|\n|$)", re.S
)
"""YAML between two lines of dashes at the very beginning, as static site generators have it."""
KINDS: dict[str, Kind] = {
    "paragraph_open": "paragraph",
    "fence": "code",
    "code_block": "code",
    "html_block": "paragraph",
    "tr_open": "table",
}


def read_markdown(source: SourceFile) -> ParsedText:
    """Return the text itself, its blocks, and its title.

    The title is that of the front matter, else the first heading.
    """
    text = source.read_text()
    title, body = _read_front_matter(text)
    lines = [body, *(body + match.end() for match in NEWLINE.finditer(text[body:]))]
    tokens = MarkdownIt("commonmark").enable("table").parse(text[body:])
    blocks = list(_fill_gaps(text, body, _build_blocks(text, lines, tokens)))
    first = first_heading(blocks)
    return ParsedText(text, blocks, title or first)


def _read_front_matter(source: str) -> tuple[str, int]:
    """Return the title, or "", and the offset where the document begins."""
    match = FRONT_MATTER.match(source)
    if not match:
        return "", 0
    document = read_yaml(match[1])
    fields = document.value
    # Front matter is other people's: a tag or a key given twice leaves the rest as it is.
    if not isinstance(fields, dict):
        return "", 0
    title = fields.get("title")
    return title if isinstance(title, str) else "", match.end()


def _build_blocks(source: str, lines: Sequence[int], tokens: Sequence[Token]) -> Iterator[Block]:
    reached = 0
    for number, token in enumerate(tokens):
        heading = token.type == "heading_open"
        if not token.map or not (heading or token.type in KINDS):
            continue
        start = max(lines[token.map[0]], reached)  # the lines of nested containers overlap
        end = lines[token.map[1]] if token.map[1] < len(lines) else len(source)
        if end <= start:
            continue
        reached = end
        if heading:
            title = _inline_text(tokens[number + 1])
            yield Block("heading", start, end, int(token.tag[1:]), title)
        elif token.type == "paragraph_open" and token.level > 0:
            yield Block("list", start, end)
        else:
            yield Block(KINDS[token.type], start, end)


def _fill_gaps(source: str, begin: int, blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the blocks, and as paragraphs what has no token: link definitions, rules,
    deep nesting.
    """
    for block in [*blocks, Block("paragraph", len(source), len(source))]:
        if gap := trim_span(source, begin, block.start):
            yield Block("paragraph", *gap)
        if block.end > block.start:
            yield block
        begin = block.end


def _inline_text(inline: Token) -> str:
    """Return a heading's text without its markup."""
    parts = (child.content if child.content else " " for child in inline.children or [])
    return " ".join("".join(parts).split())
