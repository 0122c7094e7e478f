"""Values as templates give them: JSON-like data of a bounded size, or its text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jinja2 import Undefined
from jinja2.exceptions import SecurityError
from langchain_core.messages import BaseMessage

from config.steps import spend
from graphs.templates.work import count_items

MAX_VALUE = 2 * 2**20
"""Characters or items of one value."""
MAX_INTEGER_BITS = 63
"""JSON and SQLite hold no larger whole numbers."""


def write_value(value: Any) -> Any:
    """Write a value inside text: null is nothing, lists and objects are JSON."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict | tuple):
        check_total(value)
        return write_json(value)
    return value


def write_json(value: Any, indent: int | None = None) -> str:
    """Write a value as JSON text. Raises `ValueError` for a number that JSON lacks."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str, indent=indent, allow_nan=False)
    except ValueError as error:
        raise ValueError("JSON has no infinite numbers and no NaN") from error


def plain(value: Any) -> Any:
    """Turn a template's value into JSON-like data: iterators and views become lists."""
    whole = isinstance(value, list | dict | str | Undefined | BaseMessage)
    if not whole and isinstance(value, Iterable):
        items = []
        for item in count_items(iter(value)):
            items.append(plain(item))
            check_size(len(items))
        return items
    check_total(value)
    return value


def check_total(value: Any) -> None:
    """Refuse a value that is larger written out than in memory, where lists may share parts."""
    total, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            total += len(item) + 1
        elif isinstance(item, list | tuple | dict):
            total += len(item) + 1
            spend(3 * len(item))
            pending += item.values() if isinstance(item, dict) else item
        else:
            total += 1
            _check_scalar(item)
        check_size(total)


def _check_scalar(value: Any) -> None:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise SecurityError("a whole number of more than 64 bits")
    if value is not None and not isinstance(value, str | int | float | BaseMessage):
        raise SecurityError(f"a {type(value).__name__} is no value for a channel")


def check_size(size: int) -> None:
    """Refuse a value of so many characters or items, if it is too large."""
    if size > MAX_VALUE:
        raise SecurityError(f"a value larger than {MAX_VALUE} characters or items")
