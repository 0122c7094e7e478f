"""Documents made to do harm: each costs a bounded time and memory, and ends in a clear refusal or
in harmless text."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from functools import cache
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import docx
import pptx
import pytest
from PIL import Image
from reportlab.lib import pdfencrypt
from reportlab.pdfgen.canvas import Canvas

from config.errors import Invalid
from indexes.reading import Reader
from tests.indexes.formats import test_epub
from tests.indexes.formats.test_docx import rewritten

TIMEOUT_S = 20.0
MOST_TEXT = 20_000_000
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DOCUMENT = f'<w:document xmlns:w="{W}"><w:body>%s</w:body></w:document>'
PARAGRAPH = "<w:p><w:r><w:t>%s</w:t></w:r></w:p>"
MORE = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(12))
LAUGHS = f"<!DOCTYPE x [<!ENTITY a0 'ha'>{MORE}]>"
STOLEN = "root:x:0:0"


@pytest.fixture(scope="module")
async def reader() -> AsyncIterator[Reader]:
    shared = Reader(timeout_s=TIMEOUT_S)
    yield shared
    await shared.close()


# Archives


@cache
def word() -> bytes:
    document = docx.Document()
    document.add_heading("Harmless", 1)
    document.add_paragraph("These words are harmless.")
    out = BytesIO()
    document.save(out)
    return out.getvalue()


@cache
def slides() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Harmless"
    out = BytesIO()
    presentation.save(out)
    return out.getvalue()


def archive(**entries: bytes) -> bytes:
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return out.getvalue()


def with_part(data: bytes, name: str, part: bytes) -> bytes:
    return rewritten(data, lambda each, old: part if each == name else old)


def with_more(data: bytes, name: str, part: bytes) -> bytes:
    out = BytesIO(data)
    with ZipFile(out, "a", ZIP_DEFLATED) as made:
        made.writestr(name, part)
    return out.getvalue()


def word_of(body: str) -> bytes:
    return with_part(word(), "word/document.xml", (DOCUMENT % body).encode())


def book_of(page: str) -> bytes:
    files = test_epub.BOOK | {"text/two.xhtml": page}
    return test_epub.made(files)


def flipped(data: bytes, seed: int) -> bytes:
    chance, broken = random.Random(seed), bytearray(data)
    for _ in range(40):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(broken)


def flagged(data: bytes, offset: int, value: int) -> bytes:
    """All entries with a field of both their headers changed (as counted in the local one)."""
    changed = bytearray(data)
    for mark, at in ((b"PK\x03\x04", offset), (b"PK\x01\x02", offset + 2)):
        start = changed.find(mark)
        while start >= 0:
            struct.pack_into("<H", changed, start + at, value)
            start = changed.find(mark, start + 4)
    return bytes(changed)


def russian_dolls(depth: int) -> bytes:
    """An archive that holds itself twice, as far as that can be done."""
    data = b"core"
    for _ in range(depth):
        data = archive(one=data, two=data)
    return data


def overlapping() -> bytes:
    """Ten thousand entries that are all the same bytes."""
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as made:
        made.writestr("word/document.xml", bytes(7 * 2**20))
        first = made.filelist[0]
        for number in range(10_000):
            info = ZipInfo(f"word/{number}.xml")
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(info, name, getattr(first, name))
            made.filelist.append(info)
    return out.getvalue()


def crowded() -> bytes:
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *(0,) * 9, 1, *(0,) * 6) + b"a"
    count = 200_000
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, len(entry) * count, 4, 0)
    return b"PK\x03\x04" + entry * count + end


def understated() -> bytes:
    """An entry that unpacks to more than it declares."""
    data = bytearray(word_of(PARAGRAPH % ("x" * 100_000)))
    name = data.rfind(b"word/document.xml")
    struct.pack_into("<I", data, name - 46 + 24, 500)
    return bytes(data)


def chattering(chars: int) -> str:
    """Words that do not pack well."""
    return random.Random(1).randbytes(chars // 2).hex()


def endless_word() -> bytes:
    text = chattering(MOST_TEXT + 2_000_000)
    return word_of(
        "".join(PARAGRAPH % text[at : at + 50_000] for at in range(0, len(text), 50_000))
    )


def endless_book() -> bytes:
    text = chattering(MOST_TEXT + 2_000_000)
    cut = (f"<p>{text[at : at + 1000]}</p>" for at in range(0, len(text), 1000))
    return book_of(f"<html><body>{''.join(cut)}</body></html>")


def deep(depth: int, tag: str) -> str:
    return f"<{tag}>" * depth + f"</{tag}>" * depth


# PDF


def pdf(*objects: bytes, tail: bytes = b"") -> bytes:
    """A document of these objects, numbered from 1, of which the first is the catalog."""
    data, places = b"%PDF-1.7\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    trailer = b"trailer\n<</Size %d/Root 1 0 R%s>>\n" % (size, tail)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return data + table + trailer + b"startxref\n%d\n%%%%EOF" % len(data)


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
PAGE = (
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
    b"/Resources<</Font<</F 5 0 R>>>>>>"
)
WORDS = b"BT /F 12 Tf 72 700 Td (Harmless words.) Tj ET "


def stream(data: bytes, about: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), about, data)


def page_of(contents: bytes, *more: bytes, page: bytes = PAGE, catalog: bytes = CATALOG) -> bytes:
    return pdf(catalog, PAGES, page, contents, FONT, *more)


def flate_bomb(mib: int, rounds: int = 1) -> bytes:
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b" " * 2**20) for _ in range(mib)) + packer.flush()
    for _ in range(rounds - 1):
        data = zlib.compress(data, 9)
    return page_of(stream(data, b"/Filter[" + b"/FlateDecode" * rounds + b"]"))


def locked_pdf() -> bytes:
    out = BytesIO()
    canvas = Canvas(out, encrypt=pdfencrypt.StandardEncryption("secret", "owner", strength=128))
    canvas.drawString(72, 700, "Secret words.")
    canvas.save()
    return out.getvalue()


def many_pages(count: int) -> bytes:
    kids = b" ".join(b"3 0 R" for _ in range(count))
    return pdf(
        CATALOG, b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count), PAGE, stream(WORDS), FONT
    )


def nested_pages(depth: int) -> bytes:
    nodes = [
        b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (number + 1, number - 1)
        for number in range(2, depth)
    ]
    last = PAGE.replace(b"2 0 R", b"%d 0 R" % (depth - 1)).replace(
        b"4 0 R", b"%d 0 R" % (depth + 1)
    )
    return pdf(CATALOG, *nodes, last, stream(WORDS), FONT)


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>"
LOOPING_PAGE = PAGE.replace(b"/Resources<<", b"/Resources<</XObject<</X 6 0 R>>")
CMAP = (
    b"begincmap 1 begincodespacerange <00000000> <FFFFFFFF> endcodespacerange "
    b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange endcmap"
)
MAPPED = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>"
DAMAGED = "truncated or damaged"
NO_XML = "XML"
REFUSED = "cannot be indexed"
Case = tuple[str, Callable[[], bytes], str | None]
"""(file name, its bytes, what the refusal says); None where what is read must be harmless, or
refused."""


def flips(kind: str, filename: str, make: Callable[[], bytes]) -> dict[str, Case]:
    return {
        f"{kind} with bytes flipped, {seed}": (filename, lambda s=seed: flipped(make(), s), None)
        for seed in range(3)
    }


def word_xml(document: str) -> bytes:
    return with_part(word(), "word/document.xml", document.encode())


def thieving_book(target: str) -> bytes:
    def change(name: str, part: bytes) -> bytes:
        return part.replace(b"text/two.xhtml", target.encode()) if name.endswith("opf") else part

    return rewritten(test_epub.made(), change)


def thieving_word() -> bytes:
    entity = "<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>"
    return word_xml(entity + DOCUMENT % (PARAGRAPH % "&f;x"))


def wide_cell() -> bytes:
    span = "<w:tcPr><w:gridSpan w:val='999999999'/></w:tcPr>"
    return word_of(f"<w:tbl><w:tr><w:tc>{span}{PARAGRAPH % 'x'}</w:tc></w:tr></w:tbl>")


def circular_styles() -> bytes:
    style = "<w:style w:styleId='{}'><w:basedOn w:val='{}'/></w:style>"
    styles = style.format("A", "B") + style.format("B", "A")
    part = f"<w:styles xmlns:w='{W}'>{styles}</w:styles>"
    return with_part(word(), "word/styles.xml", part.encode())


def self_related() -> bytes:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    names = "http://schemas.openxmlformats.org/package/2006/relationships"
    relation = f"<Relationship Id='a' Type='{kind}' Target='_rels/.rels'/>"
    part = f"<Relationships xmlns='{names}'>{relation}</Relationships>"
    return with_part(word(), "_rels/.rels", part.encode())


def laughing_types() -> bytes:
    part = f"{LAUGHS}<Types>&a12;</Types>"
    return with_part(slides(), "[Content_Types].xml", part.encode())


def circular_outline() -> bytes:
    entry = b"<</Title(x)/Parent 6 0 R/First 7 0 R/Next 7 0 R/Dest[3 0 R/Fit]>>"
    outline = b"<</First 7 0 R/Last 7 0 R/Count 1>>"
    catalog = b"<</Type/Catalog/Pages 2 0 R/Outlines 6 0 R>>"
    return page_of(stream(WORDS), outline, entry, catalog=catalog)


def strangely_locked() -> bytes:
    lock = b"<</Filter/Secret/V 9>>"
    return pdf(CATALOG, PAGES, PAGE, stream(WORDS), FONT, lock, tail=b"/Encrypt 6 0 R")


def circular_form() -> bytes:
    form = stream(b"/X Do /X Do", FORM)
    return page_of(stream(WORDS + b"/X Do"), form, page=LOOPING_PAGE)


def boastful(old: bytes, new: bytes) -> bytes:
    return page_of(stream(WORDS)).replace(old, new)


def running_code() -> bytes:
    action = b"/OpenAction<</S/JavaScript/JS(while(true){})>>>>"
    return page_of(stream(WORDS), catalog=b"<</Type/Catalog/Pages 2 0 R" + action)


def sky_high() -> bytes:
    return page_of(stream(b"BT /F 1e30 Tf 1e38 0 0 1e38 0 0 Tm (Harmless) Tj (words) Tj ET"))


def single_letters() -> bytes:
    return page_of(stream(b"BT /F 9 Tf " + b"1 0 Td (x) Tj " * 300_000 + b"ET"))


def zeros_in(data: bytes, name: str) -> bytes:
    return with_more(data, name, bytes(90 * 2**20))


CASES: dict[str, Case] = {
    # broken
    "an empty Word document": ("a.docx", bytes, DAMAGED),
    "an empty book": ("a.epub", bytes, DAMAGED),
    "an empty PDF": ("a.pdf", bytes, DAMAGED),
    "a PDF that is its header alone": ("a.pdf", lambda: b"%PDF-1.7", DAMAGED),
    "half a Word document": ("a.docx", lambda: word()[: len(word()) // 2], DAMAGED),
    "a Word document without its last byte": ("a.docx", lambda: word()[:-1], DAMAGED),
    "the first bytes of a presentation": ("a.pptx", lambda: slides()[:30], DAMAGED),
    "half a book": ("a.epub", lambda: test_epub.made()[:500], DAMAGED),
    "half a PDF": ("a.pdf", lambda: page_of(stream(WORDS))[:300], None),
    "noise after the header of a PDF": (
        "a.pdf",
        lambda: b"%PDF-1.7" + random.Random(1).randbytes(9999),
        DAMAGED,
    ),
    "noise after the header of an archive": ("a.docx", lambda: b"PK\3\4" + bytes(9999), DAMAGED),
    **flips("a Word document", "a.docx", word),
    **flips("a presentation", "a.pptx", slides),
    **flips("a book", "a.epub", test_epub.made),
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
    "a bomb in a book": ("a.epub", lambda: zeros_in(test_epub.made(), "bomb"), "times its size"),
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
        lambda: test_epub.made(spine=("two",) * 1_000_000),
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
async def test_a_hostile_document_is_refused_by_name(name: str, reader: Reader) -> None:
    filename, make, why = CASES[name]
    with pytest.raises(Invalid, match=re.escape(str(why))) as caught:
        await reader.read(make(), filename, None, 200)
    assert caught.value.code == "unreadable_document"
    assert caught.value.details["file"] == filename


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] is None])
async def test_a_hostile_document_is_refused_or_harmless(name: str, reader: Reader) -> None:
    filename, make, _ = CASES[name]
    try:
        found = await reader.read(make(), filename, None, 200)
    except Invalid as error:
        refusal = error
        found = None
    if found is None:
        assert (refusal.code, refusal.details["file"]) == ("unreadable_document", filename)
    else:
        assert STOLEN not in found.text
        assert len(found.text) < MOST_TEXT
        assert all(found.text[chunk.start : chunk.end].strip() for chunk in found.chunks)


async def test_after_all_of_them_the_next_document_is_read(reader: Reader) -> None:
    assert "harmless" in (await reader.read(word(), "a.docx", None, 200)).text
