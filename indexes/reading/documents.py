"""From bytes to text with structure: which reader, which encoding, and what is refused."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, Literal

from config.errors import Invalid, nearest
from indexes.formats import BY_SUFFIX, BY_TYPE, Format
from indexes.formats.magic import mismatch

Kind = Literal["heading", "paragraph", "list", "code", "table"]

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL and halves of surrogate pairs, which come out of escapes in JSON and mail."""
NO_ENCODINGS = {"punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"}
"""Python's own, in which no document is; the first two take the square of the length."""
VAGUE = {"application/octet-stream", "text/plain", "application/vnd.ms-excel", "video/mp2t"}
"""Browsers and curl send these for what they do not know, for CSV and for TypeScript: the name of
a file says more."""
MAX_TEXT_CHARS = 20_000_000
"""The most text that one document may hold, whatever its format."""


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
    """A document as it was read. Blocks are in order, trimmed of space, and do not overlap.

    `pages` are the offsets in `text` where pages begin; empty where the format has none.
    """

    text: str
    blocks: Sequence[Block]
    title: str
    media_type: str
    pages: Sequence[int] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The bytes of a document with what is known of them."""

    data: bytes
    filename: str
    media_type: str
    charset: str | None = None
    caption: str | None = None
    """What a model sees in an image."""

    def text(self) -> str:
        """The bytes decoded. Raises `Invalid` (`unreadable_document`)."""
        return decode(self.data, self.filename, self.charset)

    def guessed_text(self) -> str:
        """As `text`; in the encoding that it is likely to be in where it names none."""
        return decode_guessing(self.data, self.filename, self.charset)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a format's reader returns. `metadata` holds what the document says of itself: its
    author, its date, as JSON."""

    text: str
    blocks: Sequence[Block]
    title: str = ""
    pages: Sequence[int] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


class TooMuchText(Exception):
    """A reader gives up: the document holds more than `MAX_TEXT_CHARS`."""


FormatReader = Callable[[SourceFile], ParsedText]


def read(
    data: bytes, filename: str, media_type: str | None = None, *, caption: str | None = None
) -> Content:
    """The content of a document.

    `media_type` decides over the filename, and may declare a charset. `caption` is what a model
    sees in an image, which is its text. Raises `Invalid`: code `unsupported_document`,
    `needs_caption_model` for an image without one, or `unreadable_document` for binary, empty,
    broken or mis-declared input.
    """
    format, charset = _choose_format(filename, media_type)
    if why := mismatch(data, format.media_type):
        raise unreadable_document(filename, why)
    parsed = _parse(format, SourceFile(data, filename, format.media_type, charset, caption))
    text = _clean(parsed.text)
    spans = ((block, trim_span(text, block.start, block.end)) for block in parsed.blocks)
    blocks = [
        replace(block, start=span[0], end=span[1], title=_clean(block.title))
        for block, span in spans
        if span
    ]
    if not blocks:
        raise unreadable_document(filename, "it holds no text")
    title = parsed.title or filename.rsplit("/", 1)[-1]
    metadata = _clean_metadata(parsed.metadata)
    return Content(text, blocks, _clean(title), format.media_type, parsed.pages, metadata)


def _clean(text: str) -> str:
    """Without what no file or database holds, each replaced by one character: spans stay."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _clean_metadata(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Mapping):
        return {_clean(key): _clean_metadata(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_metadata(each) for each in value]
    return value


def _parse(format: Format, source: SourceFile) -> ParsedText:
    try:
        parsed = _import_reader(format)(source)
        if len(parsed.text) > MAX_TEXT_CHARS:
            raise TooMuchText
    except TooMuchText as error:
        most = f"{MAX_TEXT_CHARS:,} characters of text"
        raise unreadable_document(
            source.filename, f"it holds more than {most}; split it"
        ) from error
    except RecursionError as error:
        raise unreadable_document(source.filename, "it is nested too deeply") from error
    return parsed


def _import_reader(format: Format) -> FormatReader:
    module, function = format.reader.split(":")
    reader: FormatReader = getattr(import_module(f"indexes.formats.{module}"), function)
    return reader


def is_supported(filename: str, *, captions: bool = False) -> bool:
    """Whether a file of this name can be read; an image only if there are `captions` for them."""
    format = BY_SUFFIX.get(PurePosixPath(filename).suffix.lower())
    return format is not None and (captions or not format.captioned)


def decode(data: bytes, filename: str, charset: str | None) -> str:
    """The text of `data`: by its byte order mark, else as declared, else UTF-8."""
    encoding = next((name for mark, name in BOMS if data.startswith(mark)), charset or "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise unreadable_document(filename, "it is binary, not text")
    try:
        if codecs.lookup(encoding).name in NO_ENCODINGS:
            raise LookupError(encoding)
        text = data.decode(encoding)
    except LookupError as error:
        raise unreadable_document(
            filename, f"its declared encoding '{encoding}' is unknown"
        ) from error
    except (UnicodeError, ValueError) as error:
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise unreadable_document(
            filename, f"it is not valid {encoding}{place}; save it as UTF-8 or declare its charset"
        ) from error
    if "\0" in text:
        raise unreadable_document(filename, "it is binary, not text")
    return text


def decode_guessing(data: bytes, filename: str, charset: str | None) -> str:
    """As `decode`; what is not UTF-8 and names no charset in the encoding it is likely to be in."""
    try:
        return decode(data, filename, charset)
    except Invalid as error:
        from indexes.reading.encodings import guess  # takes 20 MB, and is seldom needed

        if charset or b"\0" in data or not (likely := guess(data)):
            raise
        try:
            return decode(data, filename, likely)
        except Invalid:
            raise error from None


def trim_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without white space at its ends; None when nothing is left."""
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return None
    start += len(piece) - len(piece.lstrip())
    return start, start + len(body)


def unreadable_document(filename: str, why: str) -> Invalid:
    return Invalid(
        f"{filename} cannot be indexed: {why}.",
        code="unreadable_document",
        details={"file": filename, "field": "data"},
    )


def _choose_format(filename: str, declared: str | None) -> tuple[Format, str | None]:
    """(the format, declared charset)"""
    header = Message()
    header["content-type"] = declared or ""
    charset = header.get_content_charset()
    kind = header.get_content_type() if declared else ""
    suffix = PurePosixPath(filename).suffix.lower()
    format = BY_TYPE.get(kind)
    if not kind or kind in VAGUE:
        format = BY_SUFFIX.get(suffix, format)
    if format is None:
        what = f"media type '{declared}'" if declared else f"the suffix '{suffix}'"
        raise Invalid(
            f"{filename} cannot be indexed: there is no reader for {what}. "
            f"{nearest(suffix, list(BY_SUFFIX))}",
            code="unsupported_document",
            details={"file": filename, "field": "media_type"},
        )
    return format, charset
