"""Fields of documents' metadata, typed and indexed, by which a search can filter.

Owns the table `fields` and what a value may be. `retrieval.filters` compiles conditions over it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

_ADD = "INSERT INTO fields (index_id, document, name, kind, value) VALUES (?, ?, ?, ?, ?)"

MAX_VALUE_CHARS = 1000
"""A longer text is no field: an abstract is searched, not filtered by."""

SURROGATE = re.compile("[\ud800-\udfff]")

Value = str | int | float | bool


def kind_of(value: Value) -> str:
    """Name the kind of a value.

    Values of different kinds never equal each other: True is not 1, "2020" is not 2020.
    """
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def to_sqlite(value: Value) -> str | int | float:
    """Convert a value to what SQLite compares; whole numbers beyond 64 bits lose digits."""
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else float(value)
    return value


def add_fields(
    connection: sqlite3.Connection, index_id: str, document: int, metadata: Mapping[str, Any]
) -> None:
    """Store the scalars of a document's metadata, and those in its lists."""
    rows = {
        (index_id, document, name, kind_of(value), to_sqlite(value))
        for name, value in _scalars(metadata)
    }
    connection.executemany(_ADD, sorted(rows, key=repr))


def _scalars(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for name, value in metadata.items():
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str | int | float) and is_comparable(each) and is_comparable(name):
                yield name, each


def is_comparable(value: Value) -> bool:
    """Say whether a value can be stored and compared as a field."""
    if isinstance(value, str):
        # JSON may carry half a surrogate pair, which no encoder takes.
        return len(value) <= MAX_VALUE_CHARS and not SURROGATE.search(value)
    return value.bit_length() < 1000 if isinstance(value, int) else isfinite(value)
