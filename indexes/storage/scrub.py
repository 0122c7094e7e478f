"""Takes the remains of deleted rows out of the database's file. All of it blocks.

SQLite's `secure_delete` overwrites what is deleted, but not the copies that a page keeps in its
unused middle when rows moved from it to another page earlier. Zeroing that middle changes nothing
that SQLite reads.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_SLICE_PAGES = 4096
_HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}
"""B-tree pages by their first byte: the size of their header."""
_MOST_PAGES = 2**24
"""Above, the first byte of an overflow page (a page number) may look like that of a B-tree."""
_FILE_HEADER = 100
_LOG_HEADER, _FRAME_HEADER = 32, 24


class Scrubber:
    """Brings what was committed from the write-ahead log to the database's file, where no remains
    of what was deleted then are. Nobody else may do it: no connection checkpoints by itself.

    A crash at any moment leaves a log with which the next start does it again. `writing` is held
    by whoever commits in another thread.
    """

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        # Open as long as any connection is: closing it would let go of SQLite's locks.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.writing = threading.Lock()

    def close(self) -> None:
        """After every connection."""
        os.close(self._file)

    def log_bytes(self) -> int:
        """How much the log holds."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Empty the log into the file. False when it holds something still, since a reader needs
        it or somebody writes: they come back here when they end."""
        if not self.log_bytes():
            return True
        if not self.writing.acquire(blocking=False):
            return False
        patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute("PRAGMA busy_timeout=0")
        try:
            pages = self._logged()
            connection.execute("PRAGMA wal_checkpoint(FULL)")
            # While the log still holds them: once it is empty, nothing says what to look at.
            self._scrub(pages)
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        finally:
            connection.execute(f"PRAGMA busy_timeout={patience}")
            self.writing.release()

    def everything(self) -> None:
        """Scrub a file that was written without this, and whose log is empty."""
        pages = min(os.fstat(self._file).st_size // self._page_bytes(), _MOST_PAGES)
        for first in range(1, pages + 1, _SLICE_PAGES):
            self._scrub(range(first, min(first + _SLICE_PAGES, pages + 1)))

    def _page_bytes(self) -> int:
        size = int.from_bytes(os.pread(self._file, 2, 16), "big")
        return 65536 if size == 1 else size

    def _logged(self) -> list[int]:
        """The numbers of the pages in the log, from 1; also of some that it holds no more."""
        try:
            log = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        try:
            frame = _FRAME_HEADER + int.from_bytes(os.pread(log, 4, 8), "big")
            places = range(_LOG_HEADER, os.fstat(log).st_size, frame)
            numbers = {int.from_bytes(os.pread(log, 4, place), "big") for place in places}
        finally:
            os.close(log)
        return sorted(number for number in numbers if 0 < number <= _MOST_PAGES)

    def _scrub(self, pages: Iterable[int]) -> None:
        size = self._page_bytes()
        for number in pages:
            place = (number - 1) * size
            page = os.pread(self._file, size, place)
            for start, end in _free_space(page, number):
                if page[start:end].strip(b"\0"):
                    os.pwrite(self._file, bytes(end - start), place + start)


def _free_space(page: bytes, number: int) -> Iterator[tuple[int, int]]:
    """Where the space between the row pointers and the rows of a page is, if it has one."""
    header = _FILE_HEADER if number == 1 else 0
    size = _HEADERS.get(page[header]) if len(page) > header else None
    if size is None:
        return
    rows = int.from_bytes(page[header + 3 : header + 5], "big")
    content = int.from_bytes(page[header + 5 : header + 7], "big") or 65536
    start = header + size + 2 * rows
    if start < content <= len(page):
        yield start, content
