"""Takes the remains of deleted rows out of the database's file. All of it blocks.

SQLite's `secure_delete` overwrites what is deleted, but not the copies that a page keeps in its
unused middle when rows moved from it to another page earlier. Zeroing that middle changes nothing
that SQLite reads.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

SLICE_PAGES = 4096
"""Looked through at once (10 ms): queries wait for one slice at most."""
_HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}
"""B-tree pages by their first byte: the size of their header."""
_MOST_PAGES = 2**24
"""Above, the first byte of an overflow page (a page number) may look like that of a B-tree."""
_FILE_HEADER = 100


def scrub(connection: sqlite3.Connection, file: int, first: int) -> bool:
    """Zero the unused middles of a slice of pages, the first of which is `first` (from 0).

    `file` is a descriptor of the database's file. It must stay open as long as the connection:
    closing it would let go of SQLite's locks. Pages that are in the log alone are not looked at:
    checkpoint before. True when there is more.
    """
    page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
    # Nobody else commits, and so nobody checkpoints, between reading a page and writing to it.
    connection.execute("BEGIN IMMEDIATE")
    try:
        data = os.pread(file, SLICE_PAGES * page_bytes, first * page_bytes)
        for start, end in _middles(data, page_bytes, first):
            if data[start:end].strip(b"\0"):
                os.pwrite(file, bytes(end - start), first * page_bytes + start)
    finally:
        connection.execute("ROLLBACK")
        # Pages kept in memory hold the remains too, and would be written again some day.
        connection.execute("PRAGMA shrink_memory")
    pages = first + len(data) // page_bytes
    return len(data) == SLICE_PAGES * page_bytes and pages < _MOST_PAGES


def _middles(data: bytes, page_bytes: int, first: int) -> Iterator[tuple[int, int]]:
    """Where, in `data`, the space between the row pointers and the rows of each page is."""
    for page in range(0, len(data), page_bytes):
        header = page + (_FILE_HEADER if page == 0 and first == 0 else 0)
        size = _HEADERS.get(data[header])
        if size is None:
            continue
        rows = int.from_bytes(data[header + 3 : header + 5], "big")
        content = int.from_bytes(data[header + 5 : header + 7], "big") or 65536
        start = header + size + 2 * rows
        if start < page + content <= page + page_bytes:
            yield start, page + content
