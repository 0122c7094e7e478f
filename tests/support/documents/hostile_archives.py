"""Archives, and documents that are archives, made to do harm."""

from __future__ import annotations

import random
import struct
from functools import cache
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import docx
import pptx

from tests.support.documents import epub
from tests.support.documents.archives import rewritten

MOST_TEXT = 20_000_000
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DOCUMENT = f'<w:document xmlns:w="{W}"><w:body>%s</w:body></w:document>'
PARAGRAPH = "<w:p><w:r><w:t>%s</w:t></w:r></w:p>"
MORE = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(12))
LAUGHS = f"<!DOCTYPE x [<!ENTITY a0 'ha'>{MORE}]>"


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
    files = epub.BOOK | {"text/two.xhtml": page}
    return epub.made(files)


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


def word_xml(document: str) -> bytes:
    return with_part(word(), "word/document.xml", document.encode())


def thieving_book(target: str) -> bytes:
    def change(name: str, part: bytes) -> bytes:
        return part.replace(b"text/two.xhtml", target.encode()) if name.endswith("opf") else part

    return rewritten(epub.made(), change)


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


def zeros_in(data: bytes, name: str) -> bytes:
    return with_more(data, name, bytes(90 * 2**20))
