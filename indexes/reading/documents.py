"""Reads a document: chooses its reader by media type or name, and cleans what that returns.

Owns which formats are known and what is refused; reading a format is its module's matter in
`indexes.formats`, which is imported only when such a document comes. Runs in the reading worker:
documents come from anywhere, and parsers of them may hang.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.message import Message
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from config.errors import Invalid, nearest
from indexes.formats import BY_SUFFIX, BY_TYPE, Format
from indexes.formats.magic import explain_mismatch
from indexes.reading.content import (
    MAX_TEXT_CHARS,
    Content,
    ParsedText,
    TooMuchText,
    trim_span,
    unreadable_document,
)
from indexes.reading.source import SourceFile

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL and halves of surrogate pairs, which come out of escapes in JSON and mail."""
VAGUE = {"application/octet-stream", "text/plain", "application/vnd.ms-excel", "video/mp2t"}
"""Browsers and curl send these for what they do not know, for CSV and for TypeScript: the name of
a file says more."""

FormatReader = Callable[[SourceFile], ParsedText]


def read(
    data: bytes, filename: str, media_type: str | None = None, *, caption: str | None = None
) -> Content:
    """Read a document.

    `media_type` decides over the filename, and may declare a charset. `caption` is what a model
    sees in an image, which is its text. Raises `Invalid`: code `unsupported_document`,
    `needs_caption_model` for an image without one, or `unreadable_document` for binary, empty,
    broken or mis-declared input.
    """
    format, charset = _choose_format(filename, media_type)
    if why := explain_mismatch(data, format.media_type):
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
    """Replace what no file or database holds, each by one character, so that spans stay exact."""
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
    """Tell whether a file of this name can be read; an image only if there are
    `captions` for them.
    """
    format = BY_SUFFIX.get(PurePosixPath(filename).suffix.lower())
    return format is not None and (captions or not format.captioned)


def _choose_format(filename: str, declared: str | None) -> tuple[Format, str | None]:
    """Return the format, and the charset where one is declared.

    Raises `Invalid` (`unsupported_document`) proposing the nearest suffix.
    """
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
