"""Reads JSON and JSON lines: each record a block, its nested keys as `a.b: value`.

Owns which field of a record is its title and which its text; how values look is `rows`' matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from indexes.formats.composer import Composer
from indexes.formats.rows import MAX_LABEL_CHARS, format_cell
from indexes.reading.content import ParsedText, unreadable_document
from indexes.reading.source import SourceFile

TITLE_KEYS = ("title", "name", "subject", "headline", "question", "heading", "label", "id")
"""Keys whose value may head a record, the likeliest first."""
MIN_PROSE_CHARS = 80
"""A value as long as this is text to be read, not a property."""
NO_FIELD = ("", "")
MAX_LISTED_LINES = 100
"""How many broken lines are named in the metadata."""


def read_json(source: SourceFile) -> ParsedText:
    """Read the records of an array, or of the arrays and objects in an object.

    Raises `Invalid` (`unreadable_document`) for what is no JSON; JSON lines are read as such
    whatever the file is called.
    """
    text = source.guess_text()
    try:
        root = json.loads(text)
    except ValueError as error:
        if "\n" in text.strip() and _is_json(text.lstrip().split("\n", 1)[0]):
            return read_json_lines(source)
        where = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise unreadable_document(
            source.filename, f"it is not valid JSON ({where}{error})"
        ) from error
    composer = Composer()
    _write_records(composer, root)
    return ParsedText(composer.text, composer.blocks)


def read_json_lines(source: SourceFile) -> ParsedText:
    """Read a record for each line. Broken lines stay as they are, numbered in the metadata.

    Raises `Invalid` (`unreadable_document`) when most lines are broken: then it is something else.
    """
    composer = Composer()
    records = _RecordWriter(composer, 1)
    broken: list[int] = []
    read = 0
    for number, line in enumerate(source.guess_text().split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            read += 1
        except ValueError:
            record = line.strip()
            broken.append(number)
        records.write(record)
    if len(broken) > read:
        numbers = ", ".join(map(str, broken[:5]))
        raise unreadable_document(source.filename, f"lines {numbers} and others are not valid JSON")
    metadata = {"broken_lines": broken[:MAX_LISTED_LINES]} if broken else {}
    return ParsedText(composer.text, composer.blocks, metadata=metadata)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _write_records(composer: Composer, root: object) -> None:
    records = _RecordWriter(composer, 1)
    if not isinstance(root, dict):
        for record in root if isinstance(root, list) else [root]:
            records.write(record)
        return
    parts = {key: value for key, value in root.items() if _holds_records(value)}
    records.write({key: root[key] for key in root if key not in parts})
    for key, value in parts.items():
        composer.add("heading", key, level=1)
        records = _RecordWriter(composer, 2)
        for record in value if isinstance(value, list) else [value]:
            records.write(record)


def _holds_records(value: object) -> bool:
    return bool(value) and (isinstance(value, dict) or _all_objects(value))


def _all_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


class _RecordWriter:
    """Writes records: the text of each first, below its title where the text is long."""

    def __init__(self, composer: Composer, level: int) -> None:
        self._composer = composer
        self._level = level
        self._number = 0
        self._headed = False

    def write(self, record: object) -> None:
        self._number += 1
        fields = [(name, value) for name, value in _flatten(record) if value]
        prose = max(fields, key=lambda field: len(field[1]), default=NO_FIELD)
        if len(prose[1]) < MIN_PROSE_CHARS:
            prose = NO_FIELD
        title = _find_title(fields) if prose != NO_FIELD or self._headed else NO_FIELD
        self._head(title[1] if title != prose else "")
        rest = " | ".join(_label(*field) for field in fields if field not in (title, prose))
        if prose == NO_FIELD:
            self._composer.add("table", rest)
        else:
            self._composer.add("paragraph", f"{_label(*prose)}\n{rest}")

    def _head(self, title: str) -> None:
        """Add a record's heading.

        Once one record has a heading each has: it would stand below that of another.
        """
        self._headed = self._headed or bool(title)
        if self._headed:
            self._composer.add("heading", title or f"Record {self._number}", level=self._level)


def _find_title(fields: list[tuple[str, str]]) -> tuple[str, str]:
    by_name = {name.lower(): (name, value) for name, value in reversed(fields)}
    candidates = (by_name[name] for name in TITLE_KEYS if name in by_name)
    return next((field for field in candidates if len(field[1]) <= 2 * MIN_PROSE_CHARS), NO_FIELD)


def _label(name: str, value: str) -> str:
    return f"{name[-MAX_LABEL_CHARS:]}: {value}" if name else value


def _flatten(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value that holds no others, and each list of such, with its path of keys."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _flatten(below, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        yield name, ", ".join(_format_value(each) for each in value)
    elif isinstance(value, list):
        for number, below in enumerate(value, start=1):
            yield from _flatten(below, f"{name}.{number}" if name else str(number))
    else:
        yield name, _format_value(value)


def _format_value(value: Any) -> str:
    return value.strip() if isinstance(value, str) else format_cell(value)
