"""The bytes of a document on their way to a reader, and how they become text.

Owns the choice of an encoding: a byte order mark decides over what was declared, and that over
UTF-8. What text means is the formats' matter.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from config.errors import Invalid
from indexes.reading.content import unreadable_document

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 first: the mark of UTF-16 little-endian is the beginning of its mark."""
NO_ENCODINGS = {"punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"}
"""Python's own, in which no document is; the first two take the square of the length."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The bytes of a document with what is known of them."""

    data: bytes
    filename: str
    media_type: str
    charset: str | None = None
    caption: str | None = None
    """What a model sees in an image."""

    def read_text(self) -> str:
        """Decode the bytes. Raises `Invalid` (`unreadable_document`)."""
        return decode(self.data, self.filename, self.charset)

    def guess_text(self) -> str:
        """Decode as `read_text` does; bytes that name no encoding in the one they are likely in."""
        return decode_guessing(self.data, self.filename, self.charset)


def decode(data: bytes, filename: str, charset: str | None) -> str:
    """Decode `data` by its byte order mark, else as declared, else as UTF-8.

    Raises `Invalid` (`unreadable_document`) for binary data, an unknown encoding, and bytes that
    are not valid in theirs.
    """
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
        position = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise unreadable_document(
            filename,
            f"it is not valid {encoding}{position}; save it as UTF-8 or declare its charset",
        ) from error
    if "\0" in text:
        raise unreadable_document(filename, "it is binary, not text")
    return text


def decode_guessing(data: bytes, filename: str, charset: str | None) -> str:
    """Decode as `decode` does; what is not UTF-8 and names no charset in the likeliest encoding.

    Raises `Invalid` (`unreadable_document`), that of UTF-8 where the guess fits no better.
    """
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
