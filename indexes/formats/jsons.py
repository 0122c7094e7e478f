"""JSON and JSON lines: each record a block, its nested keys as `a.b: value`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from indexes.formats.composer import Composer
from indexes.formats.rows import LABEL_CHARS, shown
from indexes.reading.documents import ParsedText, SourceFile, unreadable_document

TITLES = ("title", "name", "subject", "headline", "question", "heading", "label", "id")
PROSE_CHARS = 80
"""A value as long as this is text to be read, not a property."""
NOTHING = ("", "")
LISTED = 100
"""Broken lines that are named, at most."""


def read_json(source: SourceFile) -> ParsedText:
    """The records of an array, or of the arrays and objects in an object."""
    text = source.guessed_text()
    try:
        root = json.loads(text)
    except ValueError as error:
        if "\n" in text.strip() and _is_json(text.lstrip().split("\n", 1)[0]):
            return read_lines(source)
        place = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise unreadable_document(
            source.filename, f"it is not valid JSON ({place}{error})"
        ) from error
    composer = Composer()
    _write_root(composer, root)
    return ParsedText(composer.text, composer.blocks)


def read_lines(source: SourceFile) -> ParsedText:
    """A record for each line. Broken lines stay as they are, their numbers in the metadata.

    Raises `Invalid` when most lines are broken: then it is something else.
    """
    composer = Composer()
    records = _Records(composer, 1)
    broken: list[int] = []
    read = 0
    for number, line in enumerate(source.guessed_text().split("\n"), start=1):
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
    metadata = {"broken_lines": broken[:LISTED]} if broken else {}
    return ParsedText(composer.text, composer.blocks, metadata=metadata)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _write_root(composer: Composer, root: object) -> None:
    records = _Records(composer, 1)
    if not isinstance(root, dict):
        for record in root if isinstance(root, list) else [root]:
            records.write(record)
        return
    parts = {key: value for key, value in root.items() if _holds_records(value)}
    records.write({key: root[key] for key in root if key not in parts})
    for key, value in parts.items():
        composer.add("heading", key, level=1)
        records = _Records(composer, 2)
        for record in value if isinstance(value, list) else [value]:
            records.write(record)


def _holds_records(value: object) -> bool:
    return bool(value) and (isinstance(value, dict) or _all_objects(value))


def _all_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


class _Records:
    """Writes records: the text of each first, below its title where the text is long."""

    def __init__(self, composer: Composer, level: int) -> None:
        self._composer = composer
        self._level = level
        self._number = 0
        self._headed = False

    def write(self, record: object) -> None:
        self._number += 1
        fields = [(name, value) for name, value in _fields(record) if value]
        prose = max(fields, key=lambda field: len(field[1]), default=NOTHING)
        if len(prose[1]) < PROSE_CHARS:
            prose = NOTHING
        title = _title(fields) if prose != NOTHING or self._headed else NOTHING
        self._head(title[1] if title != prose else "")
        rest = " | ".join(_labelled(*field) for field in fields if field not in (title, prose))
        if prose == NOTHING:
            self._composer.add("table", rest)
        else:
            self._composer.add("paragraph", f"{_labelled(*prose)}\n{rest}")

    def _head(self, title: str) -> None:
        """Once one record has a heading each has: it would stand below that of another."""
        self._headed = self._headed or bool(title)
        if self._headed:
            self._composer.add("heading", title or f"Record {self._number}", level=self._level)


def _title(fields: list[tuple[str, str]]) -> tuple[str, str]:
    known = {name.lower(): (name, value) for name, value in reversed(fields)}
    found = (known[name] for name in TITLES if name in known)
    return next((field for field in found if len(field[1]) <= 2 * PROSE_CHARS), NOTHING)


def _labelled(name: str, value: str) -> str:
    return f"{name[-LABEL_CHARS:]}: {value}" if name else value


def _fields(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Each value that holds no others, and each list of such, with its path of keys."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _fields(below, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        yield name, ", ".join(_shown(each) for each in value)
    elif isinstance(value, list):
        for number, below in enumerate(value, start=1):
            yield from _fields(below, f"{name}.{number}" if name else str(number))
    else:
        yield name, _shown(value)


def _shown(value: Any) -> str:
    return value.strip() if isinstance(value, str) else shown(value)
