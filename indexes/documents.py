"""From bytes to text with structure: which reader, which encoding, and what is refused."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import PurePosixPath
from typing import Literal

from config.errors import Invalid, nearest

Kind = Literal["heading", "paragraph", "list", "code", "table"]

MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".rst": "text/x-rst",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
}

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (of `level` 1 and below), paragraph, list item, table row or piece of code.

    `start` and `end` are character offsets in the document's text.
    """

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A document as it was read. Blocks are in order, trimmed of space, and do not overlap."""

    text: str
    blocks: Sequence[Block]
    title: str
    media_type: str


Reader = Callable[[str], tuple[str, Sequence[Block], str]]
"""From decoded source to (text, blocks, title or "")."""


def read(data: bytes, filename: str, media_type: str | None = None) -> Content:
    """The content of a document.

    `media_type` decides over the filename, and may declare a charset. Raises `Invalid`: code
    `unsupported_document`, or `unreadable_document` for binary, empty or broken input.
    """
    kind, charset = _media_type(filename, media_type)
    source = decode(data, filename, charset or _charset_of_html(data, kind))
    try:
        text, blocks, title = _readers()[kind](source)
    except RecursionError as error:
        raise unreadable(filename, "it is nested too deeply") from error
    spans = ((block, trimmed(text, block.start, block.end)) for block in blocks)
    blocks = [replace(block, start=span[0], end=span[1]) for block, span in spans if span]
    if not blocks:
        raise unreadable(filename, "it holds no text")
    return Content(text, blocks, title or filename.rsplit("/", 1)[-1], kind)


def _readers() -> dict[str, Reader]:
    # Imported here: parsers are needed only where documents are read, in a worker.
    from indexes.html import read_html
    from indexes.markdown import read_markdown
    from indexes.plain import read_plain

    return {
        "text/markdown": read_markdown,
        "text/plain": read_plain,
        "text/x-rst": read_plain,
        "text/html": read_html,
        "application/xhtml+xml": read_html,
    }


def supported(filename: str) -> bool:
    """Whether a file of this name can be read."""
    return PurePosixPath(filename).suffix.lower() in MEDIA_TYPES


def decode(data: bytes, filename: str, charset: str | None) -> str:
    """The text of `data`: by its byte order mark, else as declared, else UTF-8."""
    encoding = next((name for mark, name in BOMS if data.startswith(mark)), charset or "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise unreadable(filename, "it is binary, not text")
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise unreadable(filename, f"its declared encoding '{encoding}' is unknown") from error
    except (UnicodeError, ValueError) as error:
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise unreadable(
            filename, f"it is not valid {encoding}{place}; save it as UTF-8 or declare its charset"
        ) from error
    if "\0" in text:
        raise unreadable(filename, "it is binary, not text")
    return text


def trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without white space at its ends; None when nothing is left."""
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return None
    start += len(piece) - len(piece.lstrip())
    return start, start + len(body)


def unreadable(filename: str, why: str) -> Invalid:
    return Invalid(
        f"{filename} cannot be indexed: {why}.",
        code="unreadable_document",
        details={"file": filename, "field": "data"},
    )


def _media_type(filename: str, declared: str | None) -> tuple[str, str | None]:
    """(media type that has a reader, declared charset)"""
    header = Message()
    header["content-type"] = declared or ""
    charset = header.get_content_charset()
    # Browsers and curl send these two for anything they do not know: the name says more.
    vague = {"application/octet-stream", "text/plain"}
    kind = header.get_content_type() if declared else ""
    suffix = PurePosixPath(filename).suffix.lower()
    if not kind or kind in vague:
        kind = MEDIA_TYPES.get(suffix, kind)
    if kind not in MEDIA_TYPES.values():
        what = f"media type '{declared}'" if declared else f"the suffix '{suffix}'"
        raise Invalid(
            f"{filename} cannot be indexed: there is no reader for {what}. "
            f"{nearest(suffix, list(MEDIA_TYPES))}",
            code="unsupported_document",
            details={"file": filename, "field": "media_type"},
        )
    return kind, charset


def _charset_of_html(data: bytes, kind: str) -> str | None:
    if "html" not in kind:
        return None
    from bs4.dammit import EncodingDetector

    found = EncodingDetector.find_declared_encoding(data, is_html=True)
    return found and found.decode() if isinstance(found, bytes) else found
