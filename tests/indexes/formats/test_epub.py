"""EPUB books: chapters in the order of the spine, and clear refusals."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from config.errors import Invalid
from indexes.reading.documents import read
from tests.indexes.formats.checks import headings, parts, read_exactly

CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""
OPF = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The ferry</dc:title>
<dc:creator>Ada Smith</dc:creator><dc:date>2024-05-01</dc:date><dc:language>en</dc:language>
</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"""
PAGE = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{}</body></html>"""
NAV = (
    '<nav><ol><li><a href="text/one%20a.xhtml">Boats</a></li>'
    '<li><a href="text/two.xhtml#top">Ports</a></li></ol></nav>'
)
BOOK = {
    "text/one a.xhtml": PAGE.format("<h1>One</h1><p>They leave.</p><ul><li>Freya</li></ul>"),
    "text/two.xhtml": PAGE.format("<p>They come back.</p>"),
    "nav.xhtml": PAGE.format(NAV),
}
CHAPTERS = {"one": "text/one%20a.xhtml", "two": "text/two.xhtml"}


def made(
    files: dict[str, str] = BOOK,
    spine: tuple[str, ...] = ("nav", "one", "two"),
    extra: dict[str, str] | None = None,
) -> bytes:
    kind = 'media-type="application/xhtml+xml"'
    items = "".join(f'<item id="{id}" href="{href}" {kind}/>' for id, href in CHAPTERS.items())
    items += f'<item id="nav" href="nav.xhtml" {kind} properties="nav"/>'
    references = "".join(f'<itemref idref="{id}"/>' for id in spine)
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", ZIP_STORED)
        book.writestr("META-INF/container.xml", CONTAINER)
        book.writestr("OEBPS/book.opf", OPF.format(items=items, spine=references))
        for name, text in files.items():
            book.writestr(f"OEBPS/{name}", text)
        for name, text in (extra or {}).items():
            book.writestr(name, text)
    return out.getvalue()


def test_chapters_are_read_in_the_order_of_the_spine() -> None:
    assert read(made(spine=("two", "one")), "a.epub").text.startswith("Ports\n\nThey come back.")
    assert parts(read_exactly(made(), "a.epub"))[:3] == [
        ("heading", "One"),
        ("paragraph", "They leave."),
        ("list", "Freya"),
    ]


def test_a_chapter_without_a_heading_gets_that_of_the_table_of_contents() -> None:
    assert headings(read_exactly(made(), "a.epub")) == [(1, "One"), (1, "Ports")]


def test_title_author_date_and_language_come_from_the_package() -> None:
    content = read_exactly(made(), "a.epub")
    assert content.title == "The ferry"
    assert content.metadata == {"author": "Ada Smith", "date": "2024-05-01", "language": "en"}


def test_a_chapter_named_twice_is_read_once() -> None:
    assert read(made(spine=("two", "two")), "a.epub").text.count("They come back.") == 1


def test_chapters_that_only_a_licence_opens_are_refused_and_encrypted_fonts_are_not() -> None:
    encryption = '<encryption><CipherReference URI="{}"/></encryption>'
    name = "META-INF/encryption.xml"
    locked = made(extra={name: encryption.format("OEBPS/text/two.xhtml")})
    with pytest.raises(Invalid, match="copy protection"):
        read(locked, "a.epub")
    fonts = made(extra={name: encryption.format("OEBPS/fonts/a.otf")})
    assert read(fonts, "a.epub").title == "The ferry"


def test_a_book_with_parts_missing_or_broken_is_refused() -> None:
    with pytest.raises(Invalid, match=r"two\.xhtml"):
        read(made({"text/one a.xhtml": BOOK["text/one a.xhtml"]}), "a.epub")
    with pytest.raises(Invalid, match="truncated or damaged"):
        read(made()[:-100], "a.epub")
    with pytest.raises(Invalid, match="no text"):
        read(made(spine=()), "a.epub")
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
    with pytest.raises(Invalid, match="not an EPUB"):
        read(out.getvalue(), "a.epub")
