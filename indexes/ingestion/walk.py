"""Lists the files of a folder that can be indexed, and reads them. Everything here blocks.

Owns which files count: not hidden ones, not those of version control, no links that lead outside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import Invalid
from indexes.reading.content import unreadable_document
from indexes.reading.documents import is_supported
from indexes.reports import IngestFailure

SKIPPED_FOLDERS = {
    *("CVS", "_darcs", "__pycache__", "node_modules", "site-packages", "venv"),
    "_static",  # what a documentation generator ships with its pages
}
MAX_FILES = 200_000
"""In one folder; all are listed before the first is read."""


@dataclass(frozen=True, slots=True)
class WalkedFile:
    """A file below the folder; `source` is its path there, with forward slashes."""

    path: Path
    source: str
    size_bytes: int
    mtime_ns: int


@dataclass(slots=True)
class Listing:
    """The files of a folder. `unlisted` are folders below it that could not be listed."""

    files: list[WalkedFile] = field(default_factory=list)
    failed: list[IngestFailure] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    def lacks(self, source: str) -> bool:
        """Say whether a file that is not listed is surely missing, and not only out of sight."""
        return not any(source.startswith(folder) for folder in self.unlisted)


def walk(root: Path, *, pictures: bool = False) -> Listing:
    """List the files below `root` that have a reader, by name; pictures only on demand.

    Raises `Invalid` if `root` is no folder (`unreadable_folder`), or holds too many files
    (`too_many_documents`).
    """
    if not root.is_dir():
        raise _no_folder(root)
    listing = Listing()
    for path in _paths(root, listing, pictures):
        _take(root, path, listing)
        if len(listing.files) > MAX_FILES:
            raise Invalid(
                f"'{root}' holds more than {MAX_FILES} documents; index its parts.",
                code="too_many_documents",
                details={"field": "folder"},
            )
    return listing


def resolve_folder(folder: Path) -> Path:
    """Resolve `~`, links and dots of a folder, which may be missing.

    Raises `Invalid` (`unreadable_folder`) for what can be no folder.
    """
    try:
        root = Path(folder).expanduser().resolve()
        root.stat()
    except FileNotFoundError:
        return root
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_folder(folder) from error
    return root


def _no_folder(folder: Path) -> Invalid:
    return Invalid(
        f"'{str(folder)[:200]}' is not a folder that can be read.",
        code="unreadable_folder",
        details={"field": "folder"},
    )


def read_file(file: WalkedFile, max_bytes: int) -> bytes:
    """Read a file. Raises `Invalid` if it is too large or cannot be read."""
    if file.size_bytes > max_bytes:
        raise too_large(file.source, max_bytes)
    # It may have grown since it was listed: one byte more than allowed tells.
    try:
        with file.path.open("rb") as opened:
            data = opened.read(max_bytes + 1)
    except OSError as error:
        raise unreadable_document(file.source, error.strerror or str(error)) from error
    if len(data) > max_bytes:
        raise too_large(file.source, max_bytes)
    return data


def too_large(source: str, max_bytes: int) -> Invalid:
    return unreadable_document(source, f"it is larger than {max_bytes / 2**20:.4g} MiB")


def _paths(root: Path, listing: Listing, pictures: bool) -> Iterator[Path]:
    def note_unlisted(error: OSError) -> None:
        folder = _source(root, Path(error.filename))
        listing.unlisted.append("" if folder == "." else f"{folder}/")
        why = f"{folder} cannot be listed: {error.strerror}."
        listing.failed.append(IngestFailure(folder, "unreadable_folder", why))

    for folder, below, names in os.walk(root, onerror=note_unlisted):
        below[:] = sorted(name for name in below if name[0] != "." and name not in SKIPPED_FOLDERS)
        for name in sorted(names):
            if name[0] != "." and is_supported(name, captions=pictures):
                yield Path(folder, name)


def _take(root: Path, path: Path, listing: Listing) -> None:
    source = _source(root, path)
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            return
        status = path.stat()
        source.encode()
    except UnicodeEncodeError:
        shown = source.encode(errors="replace").decode()
        why = f"{shown} cannot be indexed: its name is not valid text."
        listing.failed.append(IngestFailure(shown, "unreadable_document", why))
    except OSError as error:
        why = f"{source} cannot be indexed: {error.strerror}."
        listing.failed.append(IngestFailure(source, "unreadable_document", why))
    else:
        if stat.S_ISREG(status.st_mode):  # a pipe or a device would be read for ever
            listing.files.append(WalkedFile(path, source, status.st_size, status.st_mtime_ns))


def _source(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
