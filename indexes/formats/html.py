"""HTML: the text that a reader of the page sees, with its structure and without its furniture."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, CData, Tag
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString

from indexes.documents import Block, Kind, Parsed, Source, decode

FURNITURE = {
    *("script", "style", "nav", "noscript", "template", "svg", "iframe", "object", "canvas"),
    *("select", "button", "head"),
}
FURNITURE_ROLES = {"navigation", "search", "banner", "contentinfo"}
FURNITURE_CLASSES = {"headerlink", "sphinxsidebar"}
MAIN_SHARE = 0.5
"""A `main` or `article` that holds this share of the page's text is taken for the document."""

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "heading"),
    **dict.fromkeys(("li", "dt", "dd"), "list"),
    "pre": "code",
    "tr": "table",
}
BREAKING = {
    *KINDS,
    "p",
    "div",
    "section",
    "article",
    "main",
    "body",
    "header",
    "footer",
    "aside",
} | {
    *("ul", "ol", "dl", "table", "thead", "tbody", "tfoot", "caption", "blockquote", "figure"),
    *("figcaption", "form", "fieldset", "details", "summary", "address", "hr", "title", "html"),
}
SPACE = re.compile(r"\s+")


def read_html(source: Source) -> Parsed:
    """The page's text, its blocks, and the title: the first heading, else that of the page."""
    declared = source.charset or EncodingDetector.find_declared_encoding(source.data, is_html=True)
    charset = declared.decode() if isinstance(declared, bytes) else declared
    page = decode(source.data, source.filename, charset)
    soup = BeautifulSoup(page, "lxml", multi_valued_attributes=None)
    page_title = _flat(soup.title.get_text()) if soup.title else ""
    text, blocks = _main(soup)
    first = next((block.title for block in blocks if block.kind == "heading"), "")
    return Parsed(text, blocks, first or page_title)


def _main(soup: BeautifulSoup) -> tuple[str, list[Block]]:
    """The part of the page that is the document, else all of it."""
    text, blocks = _Writer().write(soup)
    for candidate in soup.find_all(_may_be_main, limit=8):
        part = _Writer().write(candidate)
        if len(part[0]) >= MAIN_SHARE * len(text):
            return part
    return text, blocks


def _may_be_main(tag: Tag) -> bool:
    return tag.name in ("main", "article") or tag.attrs.get("role") == "main"


def _is_furniture(tag: Tag) -> bool:
    attributes = tag.attrs
    return tag.name in FURNITURE or bool(
        attributes
        and (
            "hidden" in attributes
            or attributes.get("role") in FURNITURE_ROLES
            or not FURNITURE_CLASSES.isdisjoint(str(attributes.get("class", "")).split())
        )
    )


def _flat(text: str) -> str:
    return SPACE.sub(" ", text).strip()


class _Writer:
    """Collects the text of a tree, a block for each element that begins on a line of its own."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pieces: list[str] = []

    def write(self, root: Tag) -> tuple[str, list[Block]]:
        owner: Tag = root
        for node, element in _leaves(root):
            if element is not owner or node is None:
                self._end_block(owner)
                owner = element
            if node is not None:
                self._pieces.append(node)
        self._end_block(owner)
        return "".join(self._text), self._blocks

    def _end_block(self, element: Tag) -> None:
        pieces, self._pieces = self._pieces, []
        code = element.name == "pre"
        text = "".join(pieces).strip("\r\n").rstrip() if code else _flat("".join(pieces))
        if element.name == "tr":
            text = text.strip("| ")
        if not text.strip():
            return
        kind = KINDS.get(element.name, "paragraph")
        if self._blocks:
            tight = kind == self._blocks[-1].kind and kind in ("list", "table")
            self._add("\n" if tight else "\n\n")
        start = self._length + len(text) - len(text.lstrip())
        self._add(text)
        level = int(element.name[1]) if kind == "heading" else 0
        title = text if kind == "heading" else ""
        self._blocks.append(Block(kind, start, self._length, level, title))

    def _add(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)


def _leaves(root: Tag) -> Iterator[tuple[str | None, Tag]]:
    """Each string with the block element that holds it; (None, element) ends a block.

    Walks without recursion: hostile pages nest a hundred thousand elements.
    """
    stack: list[tuple[Tag, Tag, Iterator[object]]] = [(root, root, iter(root.contents))]
    while stack:
        tag, owner, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            if tag is owner and stack:
                yield None, stack[-1][1]
        elif isinstance(child, Tag):
            if _is_furniture(child):
                continue
            below = _owner(child, owner)
            if below is child:
                yield None, child
            elif child.name in ("td", "th"):
                yield " | ", owner
            elif child.name == "br":
                yield "\n", owner
            stack.append((child, below, iter(child.contents)))
        elif type(child) in (NavigableString, CData):
            yield str(child), owner


def _owner(tag: Tag, above: Tag) -> Tag:
    """The element whose block the text of `tag` belongs to."""
    within_row = above.name == "tr" and tag.name != "tr"
    if tag.name in BREAKING and above.name != "pre" and not within_row:
        # A list item's own paragraphs stay items; a heading in one is a heading.
        return tag
    return above
