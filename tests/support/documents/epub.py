"""A small EPUB book, part by part."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

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
