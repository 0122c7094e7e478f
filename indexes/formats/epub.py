"""Reads EPUB books (EPUB 3.3, OPF 2.0): the chapters of the spine, in its order, as web pages.

`META-INF/container.xml` names the package document, whose manifest lists the files and whose spine
orders the chapters. A chapter's text is `html`'s matter.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from indexes.formats import archive, html
from indexes.formats.archive import Archive
from indexes.formats.composer import Composer
from indexes.reading.content import ParsedText, unreadable_document
from indexes.reading.source import SourceFile

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
CHAPTER_TYPES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
"""Media types that a chapter may have; a spine may also hold pictures."""
DC = "{http://purl.org/dc/elements/1.1/}"
"""Dublin Core: title, creator, date and language of the package's metadata."""
NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
"""The table of contents of EPUB 2 (ANSI/NISO Z39.86)."""


@dataclass(frozen=True, slots=True)
class ManifestItem:
    """An entry of the book's manifest, by its name in the archive."""

    name: str
    media_type: str
    properties: frozenset[str]


def read_epub(source: SourceFile) -> ParsedText:
    """Read the book's text with title, author, date and language.

    Raises `Invalid` (`unreadable_document`), for copy-protected chapters too.
    """
    composer = Composer()
    with archive.open_archive(source) as book:
        package_name, package = _read_package(book)
        items = _read_manifest(package, posixpath.dirname(package_name))
        labels = _read_toc_labels(book, items)
        protected = _read_encrypted_names(book)
        for item in _read_spine(package, items):
            if item.name in protected:
                raise unreadable_document(
                    source.filename, "its chapters are encrypted (copy protection)"
                )
            _add_chapter(composer, book, item, labels.get(item.name, ""))
    title, metadata = _read_metadata(package)
    return ParsedText(composer.text, composer.blocks, title, (), metadata)


def _add_chapter(composer: Composer, book: Archive, item: ManifestItem, label: str) -> None:
    """Add a chapter's text.

    One without a heading of its own gets the one that the table of contents has for it.
    """
    page = html.parse_page(SourceFile(book.read(item.name), book.filename, item.media_type))
    headed = page.find(["h1", "h2", "h3", "h4", "h5", "h6"]) is not None
    if label and not headed and page.get_text(strip=True):
        composer.add("heading", label, level=1)
    html.add_tree(composer, page)


def _read_package(book: Archive) -> tuple[str, Any]:
    """Return the name of the book's package document, and its root element."""
    if CONTAINER not in book:
        raise unreadable_document(book.filename, f"it is not an EPUB: it has no {CONTAINER}")
    for file in _iter_by_name(book.parse_xml(CONTAINER), "rootfile"):
        if name := file.get("full-path"):
            return name, book.parse_xml(name)
    raise unreadable_document(book.filename, f"its {CONTAINER} names no package")


def _iter_by_name(root: Any, name: str) -> Iterator[Any]:
    """Yield elements by name alone: books are careless with namespaces."""
    return root.iter(f"{{*}}{name}")  # type: ignore[no-any-return]


def _read_manifest(package: Any, folder: str) -> dict[str, ManifestItem]:
    return {
        item.get("id", ""): ManifestItem(
            _resolve_href(folder, item.get("href", "")),
            item.get("media-type", ""),
            frozenset(item.get("properties", "").split()),
        )
        for item in _iter_by_name(package, "item")
    }


def _resolve_href(folder: str, href: str) -> str:
    """Return the name in the archive that a reference leads to."""
    return posixpath.normpath(posixpath.join(folder, unquote(href.split("#", 1)[0])))


def _read_spine(package: Any, items: dict[str, ManifestItem]) -> Iterator[ManifestItem]:
    """Yield the chapters in reading order, each once, without the table of contents."""
    listed = set()
    for reference in _iter_by_name(package, "itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or item.name in listed or "nav" in item.properties:
            continue
        listed.add(item.name)
        if item.media_type in CHAPTER_TYPES:
            yield item


def _read_toc_labels(book: Archive, items: dict[str, ManifestItem]) -> dict[str, str]:
    """Map each chapter to its first entry in the table of contents, of EPUB 3 or of EPUB 2."""
    labels: dict[str, str] = {}
    links: Iterable[tuple[str, str]]
    for item in items.values():
        folder = posixpath.dirname(item.name)
        if item.name not in book:
            continue
        if "nav" in item.properties:
            page = html.parse_page(SourceFile(book.read(item.name), book.filename, item.media_type))
            links = ((str(a.get("href", "")), a.get_text()) for a in page.find_all("a"))
        elif item.media_type == "application/x-dtbncx+xml":
            links = _read_ncx_links(book.parse_xml(item.name))
        else:
            continue
        for href, label in links:
            labels.setdefault(_resolve_href(folder, href), " ".join(label.split()))
    return labels


def _read_ncx_links(root: Any) -> Iterator[tuple[str, str]]:
    for point in root.iter(f"{NCX}navPoint"):
        content = point.find(f"{NCX}content")
        if content is not None:
            yield content.get("src", ""), point.findtext(f"{NCX}navLabel/{NCX}text") or ""


def _read_encrypted_names(book: Archive) -> set[str]:
    """Return the names of what only a licence opens (`encryption.xml` of OCF).

    Fonts are listed there too, though books are read without.
    """
    if ENCRYPTION not in book:
        return set()
    references = _iter_by_name(book.parse_xml(ENCRYPTION), "CipherReference")
    return {_resolve_href("", reference.get("URI", "")) for reference in references}


def _read_metadata(package: Any) -> tuple[str, dict[str, Any]]:
    """Return the title, and the rest of the book's metadata."""

    def read_texts(name: str) -> list[str]:
        values = (" ".join((element.text or "").split()) for element in package.iter(DC + name))
        return [text for text in values if text]

    metadata = {
        "author": ", ".join(read_texts("creator")),
        "date": next(iter(read_texts("date")), ""),
        "language": next(iter(read_texts("language")), ""),
    }
    title = next(iter(read_texts("title")), "")
    return title, {key: value for key, value in metadata.items() if value}
