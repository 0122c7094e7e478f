"""Documents made to do harm: each costs a bounded time and memory, and ends in a clear refusal or
in harmless text."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Callable
from io import BytesIO

import pytest
from PIL import Image

from config.errors import Invalid
from indexes.reading.reader import DocumentReader
from tests.support.documents import epub
from tests.support.documents.hostile_archives import (
    DOCUMENT,
    LAUGHS,
    MOST_TEXT,
    PARAGRAPH,
    W,
    archive,
    book_of,
    circular_styles,
    crowded,
    deep,
    endless_book,
    endless_word,
    flagged,
    flipped,
    laughing_types,
    overlapping,
    russian_dolls,
    self_related,
    slides,
    thieving_book,
    thieving_word,
    understated,
    wide_cell,
    with_more,
    with_part,
    word,
    word_of,
    word_xml,
    zeros_in,
)
from tests.support.documents.hostile_pdfs import (
    CATALOG,
    CMAP,
    FONT,
    MAPPED,
    WORDS,
    boastful,
    circular_form,
    circular_outline,
    flate_bomb,
    locked_pdf,
    many_pages,
    nested_pages,
    page_of,
    pdf,
    running_code,
    single_letters,
    sky_high,
    strangely_locked,
    stream,
)
from tests.support.tenants import TENANT

TIMEOUT_S = 60.0
STOLEN = "root:x:0:0"
DAMAGED = "truncated or damaged"
NO_XML = "XML"
REFUSED = "cannot be indexed"
Case = tuple[str, Callable[[], bytes], str | None]
"""(file name, its bytes, what the refusal says); None where what is read must be harmless, or
refused."""


@pytest.fixture(scope="module")
async def reader() -> AsyncIterator[DocumentReader]:
    shared = DocumentReader(timeout_s=TIMEOUT_S)
    yield shared
    await shared.close()


def flips(kind: str, filename: str, make: Callable[[], bytes]) -> dict[str, Case]:
    return {
        f"{kind} with bytes flipped, {seed}": (filename, lambda s=seed: flipped(make(), s), None)
        for seed in range(3)
    }


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


CASES: dict[str, Case] = {
    # broken
    "an empty Word document": ("a.docx", bytes, DAMAGED),
    "an empty book": ("a.epub", bytes, DAMAGED),
    "an empty PDF": ("a.pdf", bytes, DAMAGED),
    "a PDF that is its header alone": ("a.pdf", lambda: b"%PDF-1.7", DAMAGED),
    "half a Word document": ("a.docx", lambda: word()[: len(word()) // 2], DAMAGED),
    "a Word document without its last byte": ("a.docx", lambda: word()[:-1], DAMAGED),
    "the first bytes of a presentation": ("a.pptx", lambda: slides()[:30], DAMAGED),
    "half a book": ("a.epub", lambda: epub.made()[:500], DAMAGED),
    "half a PDF": ("a.pdf", lambda: page_of(stream(WORDS))[:300], None),
    "noise after the header of a PDF": (
        "a.pdf",
        lambda: b"%PDF-1.7" + random.Random(1).randbytes(9999),
        DAMAGED,
    ),
    "noise after the header of an archive": ("a.docx", lambda: b"PK\3\4" + bytes(9999), DAMAGED),
    **flips("a Word document", "a.docx", word),
    **flips("a presentation", "a.pptx", slides),
    **flips("a book", "a.epub", epub.made),
    **flips("a PDF", "a.pdf", locked_pdf),
    # mis-declared
    "a Word document that is a PDF": ("a.docx", lambda: page_of(stream(WORDS)), "but a PDF"),
    "a PDF that is a picture": ("a.pdf", picture, "but a PNG image"),
    "a PDF that is a web page": ("a.pdf", lambda: b"<!doctype html><p>x", "but a web page"),
    "a book that is a Word document": ("a.epub", word, "but a Word document"),
    "a presentation that is a program": ("a.pptx", lambda: b"\x7fELF" + bytes(99), "a program"),
    "text that is an archive": ("a.txt", slides, "binary"),
    "a Word document that is plain text": ("a.docx", lambda: b"plain", "not a Word document"),
    "a Word document that is any archive": ("a.docx", lambda: archive(a=b"x"), "missing"),
    # encrypted
    "an archive with encrypted entries": ("a.docx", lambda: flagged(word(), 6, 1), "encrypted"),
    "a PDF with a password": ("a.pdf", locked_pdf, "encrypted"),
    "a PDF with an unknown encryption": ("a.pdf", strangely_locked, "encrypted"),
    # bombs
    "a Word document of a bomb": (
        "a.docx",
        lambda: with_part(word(), "word/document.xml", bytes(90 * 2**20)),
        "times its size",
    ),
    "a bomb beside a Word document": ("a.docx", lambda: zeros_in(word(), "bomb"), "times its size"),
    "a bomb in a book": ("a.epub", lambda: zeros_in(epub.made(), "bomb"), "times its size"),
    "entries that overlap": ("a.docx", overlapping, "more than 512 MiB"),
    "more entries than memory": ("a.docx", crowded, "entries"),
    "an entry that understates its size": ("a.docx", understated, DAMAGED),
    "an archive that holds itself": ("a.docx", lambda: russian_dolls(60), "missing"),
    "a Word document with an archive that holds itself": (
        "a.docx",
        lambda: with_more(word(), "word/media/a.zip", russian_dolls(60)),
        None,
    ),
    "a method of packing that nobody knows": (
        "a.docx",
        lambda: flagged(word(), 8, 99),
        "unknown way",
    ),
    "a PDF of a bomb": ("a.pdf", lambda: flate_bomb(300), REFUSED),
    "a PDF of a bomb in a bomb": ("a.pdf", lambda: flate_bomb(200, rounds=3), REFUSED),
    # endless
    "a Word document of endless text": ("a.docx", endless_word, "characters of text"),
    "a book of endless text": ("a.epub", endless_book, "characters of text"),
    "a PDF of ten thousand pages": ("a.pdf", lambda: many_pages(10_000), None),
    "a PDF of too many pages": ("a.pdf", lambda: many_pages(30_000), "pages"),
    "a PDF that claims two billion pages": (
        "a.pdf",
        lambda: boastful(b"/Count 1", b"/Count 2147483647"),
        None,
    ),
    "a cell over a billion columns": ("a.docx", wide_cell, None),
    "a spine of a million chapters": (
        "a.epub",
        lambda: epub.made(spine=("two",) * 1_000_000),
        None,
    ),
    # XML
    "a billion laughs in a Word document": (
        "a.docx",
        lambda: word_xml(LAUGHS + DOCUMENT % (PARAGRAPH % "&a12;")),
        None,
    ),
    "a billion laughs among the types of parts": ("a.pptx", laughing_types, NO_XML),
    "a billion laughs in an attribute": (
        "a.docx",
        lambda: word_xml(f"{LAUGHS}<w:document xmlns:w='{W}' w:a='&a12;'/>"),
        NO_XML,
    ),
    "a billion laughs in a book": (
        "a.epub",
        lambda: book_of(LAUGHS + "<html><body><p>&a12;</p></body></html>"),
        None,
    ),
    "a file of this machine in a Word document": ("a.docx", thieving_word, None),
    "a file of this machine in a book": (
        "a.epub",
        lambda: thieving_book("../../../../etc/passwd"),
        "missing",
    ),
    "a file of this machine by its address in a book": (
        "a.epub",
        lambda: thieving_book("file:///etc/passwd"),
        "missing",
    ),
    "an address elsewhere in a book": (
        "a.epub",
        lambda: thieving_book("http://127.0.0.1:9/x"),
        "missing",
    ),
    "elements in elements without end": ("a.docx", lambda: word_of(deep(100_000, "w:sdt")), NO_XML),
    "elements of a book in each other without end": (
        "a.epub",
        lambda: book_of(f"<body>{deep(30_000, 'div')}"),
        None,
    ),
    "a paragraph that is no XML": ("a.docx", lambda: word_of("<w:p>"), NO_XML),
    "styles that are based on each other": ("a.docx", circular_styles, None),
    "a part that is related to itself": ("a.docx", self_related, "missing"),
    # PDF
    "a page tree that is a circle": (
        "a.pdf",
        lambda: pdf(CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9/Parent 2 0 R>>"),
        "no text",
    ),
    "a page tree of endless depth": ("a.pdf", lambda: nested_pages(5000), None),
    "an outline that is a circle": ("a.pdf", circular_outline, None),
    "a form that shows itself": ("a.pdf", circular_form, None),
    "arrays in arrays without end": ("a.pdf", lambda: pdf(CATALOG, b"[" * 200_000), DAMAGED),
    "a table of references that is a circle": (
        "a.pdf",
        lambda: boastful(b"/Root", b"/Prev 9/Root"),
        None,
    ),
    "code that runs when it is opened": ("a.pdf", running_code, None),
    "a map of letters to four billion": (
        "a.pdf",
        lambda: page_of(stream(WORDS), stream(CMAP)).replace(FONT, MAPPED),
        None,
    ),
    "a million letters each by itself": ("a.pdf", single_letters, None),
    "a hundred thousand lines ruled": (
        "a.pdf",
        lambda: page_of(stream(WORDS + b"0 0 m 500 500 l S " * 100_000)),
        None,
    ),
    "letters as large as the sky": ("a.pdf", sky_high, None),
}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] is not None])
async def test_a_hostile_document_is_refused_by_name(name: str, reader: DocumentReader) -> None:
    filename, make, why = CASES[name]
    with pytest.raises(Invalid, match=re.escape(str(why))) as caught:
        await reader.read(make(), filename, None, 200, tenant=TENANT)
    assert caught.value.code == "unreadable_document"
    assert caught.value.details["file"] == filename


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] is None])
async def test_a_hostile_document_is_refused_or_harmless(name: str, reader: DocumentReader) -> None:
    filename, make, _ = CASES[name]
    try:
        found = await reader.read(make(), filename, None, 200, tenant=TENANT)
    except Invalid as error:
        refusal = error
        found = None
    if found is None:
        assert (refusal.code, refusal.details["file"]) == ("unreadable_document", filename)
    else:
        assert STOLEN not in found.text
        assert len(found.text) < MOST_TEXT
        assert all(found.text[chunk.start : chunk.end].strip() for chunk in found.chunks)


async def test_document_after_all_hostile_ones_is_read(reader: DocumentReader) -> None:
    assert "harmless" in (await reader.read(word(), "a.docx", None, 200, tenant=TENANT)).text
