"""Writes a book as EPUB 3.3 with media overlays: readers show each sentence as it is read aloud.

A media overlay is a SMIL file for each scene that ties its sentences to times of its sound (EPUB
3.3, 9). The same book is the same file, byte for byte, but for the time of its making.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from tools.book.html import TEMPLATES, render_template
from tools.book.pages import Book

CONTAINER = """\
<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
  <rootfiles>
    <rootfile full-path="book/package.opf" media-type="application/oebps-package+xml"/>
  </rootfiles>
</container>
"""
"""Names the package document (EPUB 3.3, 4.2.6.3.1)."""
STORED = ("image/", "audio/")


def write_epub(book: Book) -> bytes:
    """Return the file. What is compressed already is stored as it is."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        # A reader knows an EPUB by its first entry, which must be this and not compressed.
        archive.writestr(_undated_entry("mimetype"), "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr(_undated_entry("META-INF/container.xml"), CONTAINER, zipfile.ZIP_DEFLATED)
        for name, data in _render_texts(book):
            archive.writestr(_undated_entry(f"book/{name}"), data, zipfile.ZIP_DEFLATED)
        for medium in (*book.pictures, *book.sounds):
            archive.writestr(_undated_entry(f"book/{medium.name}"), medium.data, zipfile.ZIP_STORED)
    return written.getvalue()


def _render_texts(book: Book) -> Iterator[tuple[str, str]]:
    yield "package.opf", render_template("package.opf.j2", book=book)
    yield "nav.xhtml", render_template("nav.xhtml.j2", book=book)
    yield "title.xhtml", render_template("title.xhtml.j2", book=book)
    yield "style.css", (TEMPLATES / "epub.css").read_text()
    for scene in book.scenes:
        yield (
            f"scene-{scene.number}.xhtml",
            render_template("scene.xhtml.j2", book=book, scene=scene),
        )
        if scene.sound:
            yield f"scene-{scene.number}.smil", render_template("scene.smil.j2", scene=scene)


def _undated_entry(name: str) -> zipfile.ZipInfo:
    """Build an entry of no date, so that the same book is the same file."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry
