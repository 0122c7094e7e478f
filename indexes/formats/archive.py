"""Opens ZIP archives that came from anywhere, and bounds them before anything is unpacked.

Owns the limits against decompression bombs and the translation of what goes wrong in an archive, or
in a library that reads one, to `Invalid`. What the entries mean is the formats' matter.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from lzma import LZMAError
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from lxml import etree

from config.errors import Invalid
from indexes.reading.content import unreadable_document
from indexes.reading.source import SourceFile

MAX_ENTRIES = 20_000
"""Far more than an honest document has; a directory is parsed into memory whole."""
MAX_UNPACKED_BYTES = 512 * 2**20
"""All entries together, unpacked."""
MAX_XML_BYTES = 96 * 2**20
"""One part of XML: its tree takes several times as much memory."""
MAX_XML_RATIO = 250
"""XML repeats itself, and yet no honest part of this size packs better."""
RATIO_CHECKED_FROM_BYTES = 8 * 2**20
"""Smaller parts cost little, and may repeat themselves as they like."""
LIBRARY_ERRORS = (ValueError, TypeError, AttributeError, LookupError, AssertionError, OSError)
"""What libraries for documents stumble over in damaged ones."""
ENTRY_MARK = b"PK\x01\x02"
"""A central directory header (APPNOTE 4.3.12)."""
ENCRYPTED_FLAG = 0x1
"""Bit 0 of an entry's flags (APPNOTE 4.4.4)."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose entries are within bounds. Archives in it are never opened."""

    filename: str
    zip: ZipFile

    def __contains__(self, name: str) -> bool:
        return name in self.zip.NameToInfo

    def read(self, name: str) -> bytes:
        """Unpack an entry. Raises `Invalid` where there is no such entry or it is damaged."""
        with translate_damage(self.filename):
            return self.zip.read(name)

    def parse_xml(self, name: str) -> Any:
        """Parse an XML entry and return its root element."""
        return parse_xml(self.read(name), self.filename, name)


@contextmanager
def open_archive(source: SourceFile) -> Iterator[Archive]:
    """Open the archive that `source` is; it is closed when the block ends.

    Raises `Invalid` (`unreadable_document`) for what is damaged, encrypted or a bomb.
    """
    # Counted before it is parsed: a directory of millions of entries takes gigabytes.
    if source.data.count(ENTRY_MARK) > MAX_ENTRIES:
        raise unreadable_document(
            source.filename, f"its archive has more than {MAX_ENTRIES:,} entries"
        )
    with translate_damage(source.filename):
        archive = ZipFile(BytesIO(source.data))
    with archive:
        if why := explain_refusal(archive.infolist()):
            raise unreadable_document(source.filename, why)
        yield Archive(source.filename, archive)


def explain_refusal(entries: list[ZipInfo]) -> str | None:
    """Say why entries are not unpacked; None where they may be.

    The sizes are those declared: `zipfile` stops an entry that yields more than it declares.
    """
    if any(entry.flag_bits & ENCRYPTED_FLAG for entry in entries):
        return "it is encrypted with a password"
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        return f"unpacked it takes more than {MAX_UNPACKED_BYTES // 2**20} MiB"
    for entry in entries:
        size = entry.file_size
        ratio = size // max(1, entry.compress_size)
        if size > RATIO_CHECKED_FROM_BYTES and ratio > MAX_XML_RATIO:
            return f"'{entry.filename}' in it unpacks to {ratio} times its size"
        if size > MAX_XML_BYTES and entry.filename.endswith((".xml", ".rels", ".xhtml", ".html")):
            return f"'{entry.filename}' in it takes more than {MAX_XML_BYTES // 2**20} MiB"
    return None


def parse_xml(data: bytes, filename: str, name: str) -> Any:
    """Parse XML and return its root element: no entities, nothing from elsewhere.

    The parser bounds depth and the length of texts by itself. Raises `Invalid`
    (`unreadable_document`).
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise unreadable_document(
            filename, f"'{name}' in it is not valid XML ({error.msg})"
        ) from error


@contextmanager
def translate_damage(filename: str, *foreign: type[Exception]) -> Iterator[None]:
    """Translate what goes wrong in an archive, or a library that reads one, to `Invalid`.

    Libraries for documents meet damage with whatever they stumble over, and with errors of their
    own: `foreign`.
    """
    try:
        yield
    except (Invalid, MemoryError, RecursionError):
        raise
    except (BadZipFile, EOFError, zlib.error, LZMAError) as error:
        raise unreadable_document(
            filename, f"its archive is truncated or damaged ({error})"
        ) from error
    except NotImplementedError as error:
        raise unreadable_document(
            filename, f"its archive is packed in an unknown way ({error})"
        ) from error
    except KeyError as error:
        raise unreadable_document(
            filename, f"a part is missing from it ({error.args[0]})"
        ) from error
    except etree.XMLSyntaxError as error:
        raise unreadable_document(
            filename, f"it holds XML that is not valid ({error.msg})"
        ) from error
    except LIBRARY_ERRORS + foreign as error:
        raise unreadable_document(filename, f"it is damaged ({error})") from error
