"""PDF documents made to do harm, written by hand."""

from __future__ import annotations

import zlib
from io import BytesIO

from reportlab.lib import pdfencrypt
from reportlab.pdfgen.canvas import Canvas


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


FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>"
LOOPING_PAGE = PAGE.replace(b"/Resources<<", b"/Resources<</XObject<</X 6 0 R>>")
CMAP = (
    b"begincmap 1 begincodespacerange <00000000> <FFFFFFFF> endcodespacerange "
    b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange endcmap"
)
MAPPED = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>"


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
