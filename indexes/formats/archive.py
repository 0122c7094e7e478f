"""ZIP archives that came from anywhere: bounded before anything of them is unpacked."""

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
from indexes.reading.documents import SourceFile, unreadable_document

MAX_ENTRIES = 20_000
MAX_BYTES = 512 * 2**20
"""All entries together, unpacked."""
MAX_XML_BYTES = 96 * 2**20
"""One part of XML: its tree takes several times as much memory."""
MAX_RATIO = 250
"""XML repeats itself, and yet no honest part of this size packs better."""
RATIO_FROM_BYTES = 8 * 2**20
STUMBLES = (ValueError, TypeError, AttributeError, LookupError, AssertionError, OSError)
ENTRY_MARK = b"PK\x01\x02"
ENCRYPTED_FLAG = 0x1


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose entries are within bounds. Archives in it are never opened."""

    filename: str
    zip: ZipFile

    def __contains__(self, name: str) -> bool:
        return name in self.zip.NameToInfo

    def read(self, name: str) -> bytes:
        """An entry's bytes. Raises `Invalid` where there is no such entry or it is damaged."""
        with readable(self.filename):
            return self.zip.read(name)

    def xml(self, name: str) -> Any:
        """The root element of an XML entry."""
        return xml(self.read(name), self.filename, name)


@contextmanager
def opened(source: SourceFile) -> Iterator[Archive]:
    """The archive that `source` is. Raises `Invalid` for what is damaged, encrypted or a bomb."""
    # Counted before it is parsed: a directory of millions of entries takes gigabytes.
    if source.data.count(ENTRY_MARK) > MAX_ENTRIES:
        raise unreadable_document(
            source.filename, f"its archive has more than {MAX_ENTRIES:,} entries"
        )
    with readable(source.filename):
        archive = ZipFile(BytesIO(source.data))
    with archive:
        if why := refused(archive.infolist()):
            raise unreadable_document(source.filename, why)
        yield Archive(source.filename, archive)


def refused(entries: list[ZipInfo]) -> str | None:
    """Why entries are not unpacked; None where they may be.

    The sizes are those declared: no entry yields more than it declares.
    """
    if any(entry.flag_bits & ENCRYPTED_FLAG for entry in entries):
        return "it is encrypted with a password"
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        return f"unpacked it takes more than {MAX_BYTES // 2**20} MiB"
    for entry in entries:
        size = entry.file_size
        ratio = size // max(1, entry.compress_size)
        if size > RATIO_FROM_BYTES and ratio > MAX_RATIO:
            return f"'{entry.filename}' in it unpacks to {ratio} times its size"
        if size > MAX_XML_BYTES and entry.filename.endswith((".xml", ".rels", ".xhtml", ".html")):
            return f"'{entry.filename}' in it takes more than {MAX_XML_BYTES // 2**20} MiB"
    return None


def xml(data: bytes, filename: str, name: str) -> Any:
    """The root element of XML: no entities, nothing from elsewhere, no endless depth or text."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise unreadable_document(
            filename, f"'{name}' in it is not valid XML ({error.msg})"
        ) from error


@contextmanager
def readable(filename: str, *foreign: type[Exception]) -> Iterator[None]:
    """Translates what goes wrong in an archive, or a library that reads one, to `Invalid`.

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
    except STUMBLES + foreign as error:
        raise unreadable_document(filename, f"it is damaged ({error})") from error
