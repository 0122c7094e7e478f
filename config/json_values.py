"""Values of JSON that can be kept: in a checkpoint, in a database, and in JSON again.

Owns what the three have in common, looking at large values without a step of Python for each, and
parsing JSON without a silent change of it. Messages, dates and other objects that graphs in Python
hold are left to those who store them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

import orjson

from config.errors import Invalid
from config.steps import spend

MAX_DEPTH = 200
"""Levels of lists and objects: encoders follow some 250, and values stand in others."""
MAX_ITEMS = 5_000_000
"""Items in all, those that lists share counted each time: they are written each time."""
MAX_CHARS = 128 * 2**20
"""Characters and bytes in all: SQLite holds a gigabyte in one place, of up to four a character."""
VALUES_PER_STEP = 16
"""So many values are looked at in the time of one step of a check by a schema."""
MAX_BITS = 64
MAX_PATH_CHARS = 200
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_KEYS = (str, int, float, type(None))
_SCALARS = (str, bytes, int, float, type(None))
_PLAIN = frozenset({str, int, float, bool, type(None), list, dict})


class Flaw(NamedTuple):
    """What of a value cannot be kept: its place, as in `items.0.name`, and why."""

    path: str
    reason: str

    def within(self, field: str) -> str:
        """Return the place within a field."""
        return f"{field}.{self.path}" if self.path else field


class _Large(NamedTuple):
    """A whole number that was not read, for it would not be kept exactly."""

    text: str


def parse_json(data: bytes | str, field: str = "") -> Any:
    """Parse JSON of the standard, each number as it stands: no NaN, no half of a surrogate pair.

    Raises `orjson.JSONDecodeError` for what is no JSON, and `Invalid` (`invalid_request`) naming
    the place, within `field`, of a whole number that has more than 64 bits.
    """
    value = orjson.loads(data)
    raw = data.encode() if isinstance(data, str) else data
    if _LONG_NUMBER.search(raw) is None:
        return value
    # orjson would make a float of it, in silence.
    try:
        flaw = find_unstorable(json.loads(raw, parse_int=_read_integer))
    except RecursionError as error:
        raise Invalid(
            "The JSON is nested too deeply.", details={"field": field or "body"}
        ) from error
    if flaw is not None:
        position = flaw.within(field) if field else flaw.path
        raise Invalid(
            f"{position or 'The body'}: {flaw.reason}", details={"field": position or "body"}
        )
    return value


def find_unstorable(value: Any) -> Flaw | None:
    """Return the first thing in a value that cannot be kept, in order of depth; None for nothing.

    Objects that are no JSON are taken as they are, but for the fields of models, such as messages.
    """
    if (flaw := _look(value)) is None or flaw.reason:
        return flaw
    level: list[tuple[Any, Any]] = [((), value)]
    while True:
        inner: list[tuple[Any, Any]] = []
        for path, item in level:
            if reason := _describe(item):
                return Flaw(_join(path), reason)
            inner += [((path, key), part) for key, part in _parts(item)]
        level = inner


def check_storable(value: Any, subject: str, field: str = "", **details: Any) -> None:
    """Check that a value can be kept. Raises `Invalid` (`unstorable_value`).

    `subject` is what gives the value; the error's details are `details` and the place in `field`.
    """
    if flaw := find_unstorable(value):
        position = flaw.within(field) if field else flaw.path
        where = f" at {position}" if position else ""
        raise Invalid(
            f"{subject} gives what cannot be kept{where}: {flaw.reason}",
            code="unstorable_value",
            details={**details, "field": position},
        )


def _look(value: Any) -> Flaw | None:
    """Look at a value level by level without its paths, which takes a fraction of the time.

    Returns a flaw without a reason where there is one of a single value, whose path is not known.
    """
    size = chars = 0
    for depth, level in enumerate(_levels(value)):
        if depth == MAX_DEPTH:
            return Flaw("", f"lists and objects in it are more than {MAX_DEPTH} levels deep.")
        for kind, items in level:
            size += len(items)
            if size > MAX_ITEMS:
                return Flaw("", f"there are more than {MAX_ITEMS} values in it.")
            if _has_flaw(kind, items):
                return Flaw("", "")
            if issubclass(kind, str | bytes):
                chars += sum(map(len, items))
                if chars > MAX_CHARS:
                    return Flaw("", f"there are more than {MAX_CHARS} characters in it.")
    return None


def is_plain(value: Any) -> bool:
    """Tell whether a value is what parsing JSON gives: no message, no tuple, no other object.

    One that holds itself is none.
    """
    for depth, level in enumerate(_levels(value)):
        for kind, items in level:
            if kind not in _PLAIN:
                return False
            if kind is dict and not set(map(type, chain.from_iterable(items))) <= {str}:
                return False
        if depth == MAX_DEPTH:
            return False
    return True


def is_deeper(value: Any, depth: int) -> bool:
    """Tell whether lists and objects are nested in more than so many levels."""
    level = next(islice(_levels(value), depth, None), [])
    return any(not issubclass(kind, _SCALARS) for kind, _ in level)


def has_more_values(value: Any, count: int) -> bool:
    """Tell whether there are more than `count` values in a value, itself among them."""
    for level in _levels(value):
        count -= sum(len(items) for _, items in level)
        if count < 0:
            return True
    return False


def _levels(value: Any) -> Iterator[list[tuple[type, list[Any]]]]:
    """Yield the values of each level, by their types. Endless for a value that holds itself."""
    level = [value]
    while level:
        spend(len(level) // VALUES_PER_STEP)
        kinds = _by_type(level)
        yield kinds
        level = []
        for kind, items in kinds:
            if kind is dict:
                level += chain.from_iterable(map(dict.values, items))
            elif kind is list:
                level += chain.from_iterable(items)
            elif not issubclass(kind, _SCALARS):
                level += chain.from_iterable(map(_inner, items))


def _by_type(items: list[Any]) -> list[tuple[type, list[Any]]]:
    """Group items by their types: a group is looked at by a few calls, without a loop of Python."""
    kinds = set(map(type, items))
    if len(kinds) == 1:
        return [(kinds.pop(), items)]
    return [(kind, [item for item in items if type(item) is kind]) for kind in kinds]


def _has_flaw(kind: type, items: list[Any]) -> bool:
    """Tell whether one of these items, all of one type, cannot be kept by itself."""
    if kind is bool or kind is list:
        return False
    if kind is str:
        return not _are_texts(items)
    if kind is float:
        return not all(map(math.isfinite, items))
    if kind is int:
        return bool(_describe(max(items)) or _describe(min(items)))
    if kind is dict:
        names = items[0] if len(items) == 1 else set().union(*items)
        if set(map(type, names)) <= {str}:
            return not _are_texts(names)
    return any(map(_describe, items))


def _are_texts(items: Collection[str]) -> bool:
    return all(map(str.isascii, items)) or all(map(_is_text, items))


def _inner(value: Any) -> Iterable[Any]:
    """Return what a value holds."""
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    fields = getattr(type(value), "model_fields", None)
    return [getattr(value, name, None) for name in fields] if fields else ()


def _describe(value: Any) -> str | None:
    """Return why a value by itself cannot be kept."""
    if isinstance(value, str):
        return (
            None if value.isascii() or _is_text(value) else "half a character (a lone surrogate)."
        )
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is no number that JSON has."
    if isinstance(value, int):
        fits = value.bit_length() < MAX_BITS or value == -(2 ** (MAX_BITS - 1))
        return None if fits else _too_large()
    if isinstance(value, _Large):
        return _too_large()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, _KEYS):
                return f"a {type(key).__name__} is no name that an object in JSON can have."
            if reason := _describe(key):
                return f"one of its names is {reason}"
    return None


def _too_large() -> str:
    return "a whole number has at most 64 bits; as a text it is kept."


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, _Large):
        return
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from enumerate(value)
    elif fields := getattr(type(value), "model_fields", None):
        yield from ((name, getattr(value, name, None)) for name in fields)


def _join(path: Any) -> str:
    """Write a path, which is nested pairs of what stands before and a key, as text with points."""
    keys = []
    while path:
        path, key = path
        keys.append(str(key).encode(errors="replace").decode()[:100])
    return ".".join(reversed(keys))[:MAX_PATH_CHARS]


def _read_integer(text: str) -> Any:
    return int(text) if len(text) <= 20 else _Large(text)
