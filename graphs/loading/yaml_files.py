"""Agent files of a folder: listing them, and reading their texts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from config.errors import Invalid, MotetError
from config.files import read_text as read_text_file
from graphs.agent import Origin
from graphs.loading.build import AgentSource

SUFFIXES = (".yaml", ".yml")


RACY_NS = 10**9
"""A file changed so shortly before it was read may change again within one tick of its clock."""


class SourceReader:
    """Reads the YAML of folders, and a file again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Stamp, AgentSource]] = {}

    def read(
        self, folder: Path, origin: Origin
    ) -> tuple[dict[str, AgentSource], dict[str, MotetError]]:
        """Read a folder's agents by name, and by file what could not be read.

        Files whose name begins with a dot or an underscore are left alone. A folder that is not
        there is empty.
        """
        sources: dict[str, AgentSource] = {}
        problems: dict[str, MotetError] = {}
        try:
            entries = list_files(folder)
        except OSError as error:
            return {}, {str(folder): _unreadable(folder, error)}
        for entry in entries:
            name, suffix = os.path.splitext(entry.name)
            if suffix not in SUFFIXES or name.startswith((".", "_")):
                continue
            try:
                sources[name] = self._read_file(entry, name, origin)
            except Invalid as error:
                problems[entry.path] = error
        return sources, problems

    def _read_file(self, entry: os.DirEntry[str], name: str, origin: Origin) -> AgentSource:
        try:
            stamp = _Stamp.of(entry.stat())
        except OSError as error:
            raise _unreadable(Path(entry.path), error) from error
        known, source = self._known.get(entry.path, (None, None))
        if source and known == stamp:
            return source
        path = Path(entry.path)
        source = AgentSource(name, read_text(path), origin, path)
        if time.time_ns() - stamp.mtime_ns > RACY_NS:
            self._known[entry.path] = stamp, source
        return source


class _Stamp(NamedTuple):
    """What differs when a file does."""

    mtime_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_mtime_ns, status.st_size, status.st_ino)


def list_files(folder: Path) -> list[os.DirEntry[str]]:
    """List what is in a folder, by name; nothing where there is none. Raises `OSError`."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_text(file: Path) -> str:
    """Read a file's text. Raises `Invalid` (`invalid_agent`) naming the file."""
    try:
        return read_text_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> Invalid:
    reason = error.strerror if isinstance(error, OSError) else error
    message = f"{path}: cannot be read: {reason}"
    return Invalid(message, code="invalid_agent", details={"file": str(path)})
