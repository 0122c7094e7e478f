"""HTML: the text that a reader of the page sees, with its structure and without its furniture."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from bs4 import BeautifulSoup, CData, Tag, XMLParsedAsHTMLWarning
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString

from indexes.formats.composer import Composer
from indexes.reading.documents import Kind, ParsedText, SourceFile, decode

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


def read_html(source: SourceFile) -> ParsedText:
    """The page's text, its blocks, and the title: the first heading, else that of the page."""
    page = tree(source)
    page_title = _flat(page.title.get_text()) if page.title else ""
    composed = _main(page)
    first = next((block.title for block in composed.blocks if block.kind == "heading"), "")
    return ParsedText(composed.text, composed.blocks, first or page_title)


def tree(source: SourceFile) -> BeautifulSoup:
    """The page, decoded as its source or itself declares."""
    declared = source.charset or EncodingDetector.find_declared_encoding(source.data, is_html=True)
    charset = declared.decode() if isinstance(declared, bytes) else declared
    page = decode(source.data, source.filename, charset)
    with warnings.catch_warnings():
        # XHTML is read as HTML on purpose: what its readers see is the same, and most is broken.
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(page, "lxml", multi_valued_attributes=None)


def add_tree(composer: Composer, root: Tag) -> None:
    """Add the text of a tree: a part for each element that begins on a line of its own."""
    pieces: list[str] = []
    owner: Tag = root
    for node, element in _leaves(root):
        if element is not owner or node is None:
            _add_block(composer, owner, pieces)
            pieces, owner = [], element
        if node is not None:
            pieces.append(node)
    _add_block(composer, owner, pieces)


def _add_block(composer: Composer, element: Tag, pieces: list[str]) -> None:
    kind = KINDS.get(element.name, "paragraph")
    text = "".join(pieces) if kind == "code" else _flat("".join(pieces))
    if kind == "table":
        text = text.strip("| ")
    composer.add(kind, text, level=int(element.name[1]) if kind == "heading" else 0)


def _main(page: BeautifulSoup) -> Composer:
    """The part of the page that is the document, else all of it."""
    whole = _composed(page)
    for candidate in page.find_all(_may_be_main, limit=8):
        part = _composed(candidate)
        if len(part.text) >= MAIN_SHARE * len(whole.text):
            return part
    return whole


def _composed(root: Tag) -> Composer:
    composer = Composer()
    add_tree(composer, root)
    return composer


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
