"""Tells what bytes really are, whatever they are called, by their first bytes.

Signatures are those of each format's specification and of the `file` command. Whether such a file
is sound is its reader's matter.
"""

from __future__ import annotations

DESCRIPTIONS = {
    "application/pdf": "a PDF",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "a Word document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": (
        "a PowerPoint presentation"
    ),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "an Excel workbook",
    "application/vnd.ms-excel": "an Excel workbook",
    "application/vnd.ms-excel.sheet.macroenabled.12": "an Excel workbook",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "a binary Excel workbook",
    "application/vnd.oasis.opendocument.text": "an OpenDocument text",
    "application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation",
    "application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet",
    "application/epub+zip": "an EPUB",
    "application/zip": "a ZIP archive",
    "application/gzip": "gzip-compressed data",
    "application/x-xz": "xz-compressed data",
    "application/zstd": "zstd-compressed data",
    "application/x-7z-compressed": "a 7-Zip archive",
    "application/vnd.rar": "a RAR archive",
    "application/x-ole-storage": "an old binary Office document (.doc, .xls, .ppt)",
    "application/vnd.sqlite3": "an SQLite database",
    "application/x-executable": "a program",
    "image/png": "a PNG image",
    "image/jpeg": "a JPEG image",
    "image/gif": "a GIF image",
    "image/webp": "a WebP image",
    "image/tiff": "a TIFF image",
    "text/rtf": "an RTF document",
    "text/html": "a web page",
}
"""Media types as an error names them, with an article."""
PREFIXES = (
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\x7fELF", "application/x-executable"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "text/rtf"),
)
"""The first bytes of a format. ZIP begins with a local file header, or empty (APPNOTE 4.3)."""
ZIP_PARTS = (
    (b"word/document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (
        b"ppt/presentation",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    (b"xl/workbook", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"META-INF/container.xml", "application/epub+zip"),
)
"""An entry that only this kind of ZIP file has."""
ZIPPED_TYPES = {
    *(kind for kind in DESCRIPTIONS if kind.startswith(("application/vnd.o", "application/epub"))),
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "application/zip",
}
"""Media types that are ZIP files."""
SPREADSHEETS = {
    "application/vnd.ms-excel",
    "application/vnd.ms-excel.sheet.macroenabled.12",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
}
"""All have one reader, which goes by what they are."""
PDF_HEADER_BYTES = 1024
"""Readers of PDF let its header follow this much of anything (PDF 1.7, note 13 in appendix H)."""
ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
"""The stream of an OLE file that holds an encrypted Office document ([MS-OFFCRYPTO] 2.3.4)."""


def detect_type(data: bytes) -> str | None:
    """Return the media type that the bytes speak of; None for text and the unknown."""
    kind = next((kind for prefix, kind in PREFIXES if data.startswith(prefix)), None)
    if kind == "application/zip":
        return _detect_zipped(data)
    if kind is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if kind is None and b"%PDF-" in data[:PDF_HEADER_BYTES]:
        return "application/pdf"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if kind is None and start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    return kind


def explain_mismatch(data: bytes, expected: str) -> str | None:
    """Say why bytes declared as `expected` are something else; None where they may be that."""
    actual = detect_type(data)
    description = DESCRIPTIONS.get(expected)
    if actual == expected:
        return None
    binary = description is not None and not expected.startswith("text/")
    if expected in SPREADSHEETS and actual in SPREADSHEETS | {"application/x-ole-storage"}:
        return None
    if actual is None:
        return f"it is not {description}" if binary and data else None
    if not binary:
        return _explain_not_text(data, actual)
    if (
        expected in ZIPPED_TYPES
        and actual == "application/x-ole-storage"
        and ENCRYPTED_OFFICE in data
    ):
        return "it is encrypted with a password; save it without one"
    # A damaged archive does not tell what it was: its reader says what is wrong with it.
    if actual == "application/zip" and expected in ZIPPED_TYPES:
        return None
    if actual.startswith("image/") and expected.startswith("image/"):
        return None
    return f"it is not {description} but {DESCRIPTIONS[actual]}"


def _explain_not_text(data: bytes, actual: str) -> str | None:
    """Say why bytes are no text; None where they may be.

    Text may well begin as a web page or an image does, as long as it is text.
    """
    textual = b"\0" not in data and not (actual == "application/pdf" and b"%%EOF" in data[-1024:])
    if actual.startswith("text/") or textual:
        return None
    return f"it is binary ({DESCRIPTIONS[actual]}), not text"


def _detect_zipped(data: bytes) -> str:
    """Return what an archive is: OpenDocument and EPUB say so first, others by their parts.

    Those two store their media type uncompressed as the first entry, after the 30 bytes of a local
    file header and its name `mimetype` (OCF; ODF 1.2, part 3).
    """
    for kind in ZIPPED_TYPES - {"application/zip"}:
        if kind.encode() in data[30:160]:
            return kind
    # The directory stands last: what an embedded document is made of comes before it.
    last, kind = max((data.rfind(part), kind) for part, kind in ZIP_PARTS)
    return kind if last >= 0 else "application/zip"
