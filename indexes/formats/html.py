"""Reads HTML: the text that a reader of the page sees, with its structure, without its furniture.

Owns what is furniture and which part of a page is the document. `parse_page` and `add_tree` serve
EPUB too. The tree is walked without recursion: hostile pages nest deeper than Python recurses.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from bs4 import BeautifulSoup, CData, Tag, XMLParsedAsHTMLWarning
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString

from indexes.formats.composer import Composer
from indexes.reading.content import Kind, ParsedText, first_heading
from indexes.reading.source import SourceFile, decode

FURNITURE = {
    *("script", "style", "nav", "noscript", "template", "svg", "iframe", "object", "canvas"),
    *("select", "button", "head"),
}
"""Elements whose text belongs to the site or to programs, not to the document."""
FURNITURE_ROLES = {"navigation", "search", "banner", "contentinfo"}
"""ARIA landmarks that are a site's."""
FURNITURE_CLASSES = {"headerlink", "sphinxsidebar"}
"""Sphinx's anchors and sidebar."""
MAIN_SHARE = 0.5
"""A `main` or `article` that holds this share of the page's text is taken for the document."""

BLOCK_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "heading"),
    **dict.fromkeys(("li", "dt", "dd"), "list"),
    "pre": "code",
    "tr": "table",
}
BLOCK_TAGS = {
    *BLOCK_KINDS,
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
"""Elements that begin on a line of their own."""
WHITE_SPACE = re.compile(r"\s+")


def read_html(source: SourceFile) -> ParsedText:
    """Read the page's text, its blocks, and its title: the first heading, else that of the page."""
    page = parse_page(source)
    page_title = _collapse_space(page.title.get_text()) if page.title else ""
    composed = _compose_main(page)
    first = first_heading(composed.blocks)
    return ParsedText(composed.text, composed.blocks, first or page_title)


def parse_page(source: SourceFile) -> BeautifulSoup:
    """Parse the page, decoded as its source or itself declares."""
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
    for node, element in _walk_leaves(root):
        if element is not owner or node is None:
            _add_block(composer, owner, pieces)
            pieces, owner = [], element
        if node is not None:
            pieces.append(node)
    _add_block(composer, owner, pieces)


def _add_block(composer: Composer, element: Tag, pieces: list[str]) -> None:
    kind = BLOCK_KINDS.get(element.name, "paragraph")
    text = "".join(pieces) if kind == "code" else _collapse_space("".join(pieces))
    if kind == "table":
        text = text.strip("| ")
    composer.add(kind, text, level=int(element.name[1]) if kind == "heading" else 0)


def _compose_main(page: BeautifulSoup) -> Composer:
    """Compose the part of the page that is the document, else all of it."""
    whole = _compose(page)
    for candidate in page.find_all(_may_be_main, limit=8):
        part = _compose(candidate)
        if len(part.text) >= MAIN_SHARE * len(whole.text):
            return part
    return whole


def _compose(root: Tag) -> Composer:
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


def _collapse_space(text: str) -> str:
    return WHITE_SPACE.sub(" ", text).strip()


def _walk_leaves(root: Tag) -> Iterator[tuple[str | None, Tag]]:
    """Yield each string with the block element that holds it; (None, element) ends a block.

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
            below = _owning_block(child, owner)
            if below is child:
                yield None, child
            elif child.name in ("td", "th"):
                yield " | ", owner
            elif child.name == "br":
                yield "\n", owner
            stack.append((child, below, iter(child.contents)))
        elif type(child) in (NavigableString, CData):
            yield str(child), owner


def _owning_block(tag: Tag, above: Tag) -> Tag:
    """Return the element whose block the text of `tag` belongs to."""
    within_row = above.name == "tr" and tag.name != "tr"
    if tag.name in BLOCK_TAGS and above.name != "pre" and not within_row:
        # A list item's own paragraphs stay items; a heading in one is a heading.
        return tag
    return above
