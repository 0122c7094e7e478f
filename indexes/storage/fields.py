"""The fields of documents' metadata, typed and indexed, by which a search chooses beforehand."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

ADD = "INSERT INTO fields (index_id, document, name, kind, value) VALUES (?, ?, ?, ?, ?)"

LONGEST_CHARS = 1000
"""A longer text is no field: an abstract is searched, not filtered by."""

SURROGATE = re.compile("[\ud800-\udfff]")

Value = str | int | float | bool


def kind_of(value: Value) -> str:
    """Values of different kinds never equal each other: True is not 1, "2020" is not 2020."""
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def stored(value: Value) -> str | int | float:
    """The value as SQLite compares it; whole numbers beyond 64 bits lose digits."""
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else float(value)
    return value


def add_fields(
    connection: sqlite3.Connection, index_id: str, document: int, metadata: Mapping[str, Any]
) -> None:
    """Keep the scalars of a document's metadata, and those in its lists."""
    rows = {
        (index_id, document, name, kind_of(value), stored(value))
        for name, value in _scalars(metadata)
    }
    connection.executemany(ADD, sorted(rows, key=repr))


def _scalars(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for name, value in metadata.items():
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str | int | float) and comparable(each) and comparable(name):
                yield name, each


def comparable(value: Value) -> bool:
    """Whether it can be a field's value."""
    if isinstance(value, str):
        # JSON may carry half a surrogate pair, which no encoder takes.
        return len(value) <= LONGEST_CHARS and not SURROGATE.search(value)
    return value.bit_length() < 1000 if isinstance(value, int) else isfinite(value)
