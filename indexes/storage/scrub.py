"""Takes the remains of deleted rows out of the database's file. Everything here blocks.

SQLite's `secure_delete` overwrites what is deleted, but not the copies that a page keeps in its
unused middle when rows moved from it to another page earlier. Zeroing that middle changes nothing
that SQLite reads. The formats are those of https://www.sqlite.org/fileformat.html.

Owns the checkpoints: no connection moves pages from the log to the file by itself, since each page
has to be scrubbed while the log still says which ones were written.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_SLICE_PAGES = 4096
"""Pages scrubbed by one call when the whole file is."""
_BTREE_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}
"""B-tree pages by their first byte: the size of their header."""
_MAX_PAGES = 2**24
"""Above, the first byte of an overflow page (a page number) may look like that of a B-tree."""
_FILE_HEADER_BYTES = 100
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24


class Scrubber:
    """Empties the write-ahead log into the file, and leaves no remains of deleted rows there.

    A crash at any moment leaves a log with which the next start does it again. `write_lock` is held
    by whoever commits in another thread.
    """

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        # Open as long as any connection is: closing any descriptor of the file would release the
        # POSIX locks that SQLite holds on it.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.write_lock = threading.Lock()

    def close(self) -> None:
        """Close the file; after every connection."""
        os.close(self._file)

    def log_bytes(self) -> int:
        """Measure the log."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Empty the log into the file.

        False if the log still holds something, since a reader needs it or another thread writes:
        they call this when they end.
        """
        if not self.log_bytes():
            return True
        # Another thread's commit between the two checkpoints would bring pages that are not
        # scrubbed. It is not waited for: it may be an import that takes minutes.
        if not self.write_lock.acquire(blocking=False):
            return False
        timeout_ms = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute("PRAGMA busy_timeout=0")
        try:
            pages = self._logged_pages()
            connection.execute("PRAGMA wal_checkpoint(FULL)")
            # While the log still holds them: once it is empty, nothing says what to look at.
            self._scrub(pages)
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        finally:
            connection.execute(f"PRAGMA busy_timeout={timeout_ms}")
            self.write_lock.release()

    def scrub_file(self) -> None:
        """Scrub a whole file that was written without a scrubber, and whose log is empty."""
        pages = min(os.fstat(self._file).st_size // self._page_bytes(), _MAX_PAGES)
        for first in range(1, pages + 1, _SLICE_PAGES):
            self._scrub(range(first, min(first + _SLICE_PAGES, pages + 1)))

    def _page_bytes(self) -> int:
        size = int.from_bytes(os.pread(self._file, 2, 16), "big")
        return 65536 if size == 1 else size

    def _logged_pages(self) -> list[int]:
        """List the numbers of the pages in the log, from 1, and some that it holds no more."""
        try:
            log = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        try:
            frame_bytes = _FRAME_HEADER_BYTES + int.from_bytes(os.pread(log, 4, 8), "big")
            offsets = range(_LOG_HEADER_BYTES, os.fstat(log).st_size, frame_bytes)
            numbers = {int.from_bytes(os.pread(log, 4, offset), "big") for offset in offsets}
        finally:
            os.close(log)
        return sorted(number for number in numbers if 0 < number <= _MAX_PAGES)

    def _scrub(self, pages: Iterable[int]) -> None:
        size = self._page_bytes()
        for number in pages:
            offset = (number - 1) * size
            page = os.pread(self._file, size, offset)
            for start, end in _free_space(page, number):
                if page[start:end].strip(b"\0"):
                    os.pwrite(self._file, bytes(end - start), offset + start)


def _free_space(page: bytes, number: int) -> Iterator[tuple[int, int]]:
    """Find (start, end) of the space between a page's row pointers and its rows, if it has one."""
    header = _FILE_HEADER_BYTES if number == 1 else 0
    size = _BTREE_HEADER_BYTES.get(page[header]) if len(page) > header else None
    if size is None:
        return
    rows = int.from_bytes(page[header + 3 : header + 5], "big")
    content = int.from_bytes(page[header + 5 : header + 7], "big") or 65536
    start = header + size + 2 * rows
    if start < content <= len(page):
        yield start, content
