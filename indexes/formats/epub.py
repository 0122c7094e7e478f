"""EPUB books: the chapters of the spine, in its order, read as the web pages they are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from indexes.formats import archive, html
from indexes.formats.archive import Archive
from indexes.formats.composer import Composer
from indexes.reading.documents import ParsedText, SourceFile, unreadable_document

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
PAGE_TYPES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
DC = "{http://purl.org/dc/elements/1.1/}"
NCX = "{http://www.daisy.org/z3986/2005/ncx/}"


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the book's manifest, by its name in the archive."""

    name: str
    media_type: str
    properties: frozenset[str]


def read_epub(source: SourceFile) -> ParsedText:
    """The book's text with title, author, date and language."""
    composer = Composer()
    with archive.opened(source) as book:
        package_name, package = _package(book)
        items = _items(package, posixpath.dirname(package_name))
        labels = _labels(book, items)
        protected = _protected(book)
        for item in _spine(package, items):
            if item.name in protected:
                raise unreadable_document(
                    source.filename, "its chapters are encrypted (copy protection)"
                )
            _add_chapter(composer, book, item, labels.get(item.name, ""))
    title, metadata = _about(package)
    return ParsedText(composer.text, composer.blocks, title, (), metadata)


def _add_chapter(composer: Composer, book: Archive, item: Item, label: str) -> None:
    """A chapter without a heading of its own gets the one the table of contents has for it."""
    page = html.tree(SourceFile(book.read(item.name), book.filename, item.media_type))
    headed = page.find(["h1", "h2", "h3", "h4", "h5", "h6"]) is not None
    if label and not headed and page.get_text(strip=True):
        composer.add("heading", label, level=1)
    html.add_tree(composer, page)


def _package(book: Archive) -> tuple[str, Any]:
    """The book's package document with its name."""
    if CONTAINER not in book:
        raise unreadable_document(book.filename, f"it is not an EPUB: it has no {CONTAINER}")
    for file in _named(book.xml(CONTAINER), "rootfile"):
        if name := file.get("full-path"):
            return name, book.xml(name)
    raise unreadable_document(book.filename, f"its {CONTAINER} names no package")


def _named(root: Any, name: str) -> Iterator[Any]:
    """Elements by name alone: books are careless with namespaces."""
    return root.iter(f"{{*}}{name}")  # type: ignore[no-any-return]


def _items(package: Any, folder: str) -> dict[str, Item]:
    return {
        item.get("id", ""): Item(
            _target(folder, item.get("href", "")),
            item.get("media-type", ""),
            frozenset(item.get("properties", "").split()),
        )
        for item in _named(package, "item")
    }


def _target(folder: str, href: str) -> str:
    """What a reference leads to in the archive."""
    return posixpath.normpath(posixpath.join(folder, unquote(href.split("#", 1)[0])))


def _spine(package: Any, items: dict[str, Item]) -> Iterator[Item]:
    """The chapters in reading order, each once, without the table of contents."""
    seen = set()
    for reference in _named(package, "itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or item.name in seen or "nav" in item.properties:
            continue
        seen.add(item.name)
        if item.media_type in PAGE_TYPES:
            yield item


def _labels(book: Archive, items: dict[str, Item]) -> dict[str, str]:
    """The first entry for each chapter in the table of contents, that of EPUB 3 or of EPUB 2."""
    labels: dict[str, str] = {}
    links: Iterable[tuple[str, str]]
    for item in items.values():
        folder = posixpath.dirname(item.name)
        if item.name not in book:
            continue
        if "nav" in item.properties:
            page = html.tree(SourceFile(book.read(item.name), book.filename, item.media_type))
            links = ((str(a.get("href", "")), a.get_text()) for a in page.find_all("a"))
        elif item.media_type == "application/x-dtbncx+xml":
            links = _ncx_links(book.xml(item.name))
        else:
            continue
        for href, label in links:
            labels.setdefault(_target(folder, href), " ".join(label.split()))
    return labels


def _ncx_links(root: Any) -> Iterator[tuple[str, str]]:
    for point in root.iter(f"{NCX}navPoint"):
        content = point.find(f"{NCX}content")
        if content is not None:
            yield content.get("src", ""), point.findtext(f"{NCX}navLabel/{NCX}text") or ""


def _protected(book: Archive) -> set[str]:
    """What only a licence opens. Fonts are listed here too, though books are read without."""
    if ENCRYPTION not in book:
        return set()
    references = _named(book.xml(ENCRYPTION), "CipherReference")
    return {_target("", reference.get("URI", "")) for reference in references}


def _about(package: Any) -> tuple[str, dict[str, Any]]:
    """(the title, the rest)"""

    def texts(name: str) -> list[str]:
        found = (" ".join((element.text or "").split()) for element in package.iter(DC + name))
        return [text for text in found if text]

    metadata = {
        "author": ", ".join(texts("creator")),
        "date": next(iter(texts("date")), ""),
        "language": next(iter(texts("language")), ""),
    }
    title = next(iter(texts("title")), "")
    return title, {key: value for key, value in metadata.items() if value}
