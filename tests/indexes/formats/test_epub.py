"""EPUB books: chapters in the order of the spine, and clear refusals."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import pytest

from config.errors import Invalid
from indexes.reading.documents import read
from tests.support.documents.checks import headings, parts, read_exactly
from tests.support.documents.epub import BOOK, made


def test_chapters_are_read_in_the_order_of_the_spine() -> None:
    assert read(made(spine=("two", "one")), "a.epub").text.startswith("Ports\n\nThey come back.")
    assert parts(read_exactly(made(), "a.epub"))[:3] == [
        ("heading", "One"),
        ("paragraph", "They leave."),
        ("list", "Freya"),
    ]


def test_chapter_without_heading_gets_its_entry_in_the_table_of_contents() -> None:
    assert headings(read_exactly(made(), "a.epub")) == [(1, "One"), (1, "Ports")]


def test_title_author_date_and_language_come_from_the_package() -> None:
    content = read_exactly(made(), "a.epub")
    assert content.title == "The ferry"
    assert content.metadata == {"author": "Ada Smith", "date": "2024-05-01", "language": "en"}


def test_a_chapter_named_twice_is_read_once() -> None:
    assert read(made(spine=("two", "two")), "a.epub").text.count("They come back.") == 1


def test_encrypted_chapters_are_refused_but_encrypted_fonts_are_not() -> None:
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
