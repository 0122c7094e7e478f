"""Pydantic's errors in words for the author of a file: what is expected, what stands there.

Owns the words alone; which file, line and field an error is about is for each reader to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

MAPPING = "a mapping of `key: value`"
TYPE_WORDS: Mapping[str, str] = {
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), MAPPING),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
}
"""What is expected where an error of this type stands."""
PATTERN_WORDS: Mapping[str, str] = {
    "^[A-Za-z][A-Za-z0-9_]{0,63}$": "letters, digits and '_', beginning with a letter; at most 64",
    "^[A-Za-z][A-Za-z0-9_-]{0,63}$": "letters, digits, '_' and '-', beginning with a letter; "
    "at most 64",
    "^[a-z0-9][a-z0-9_-]{0,63}$": "small letters, digits, '_' and '-', at most 64",
    r"^(auto|cpu|mps|(cuda|xpu)(:\d+)?)$": "auto, cpu, mps, cuda or xpu, or one of several as in "
    "cuda:1",
}
"""What a text must be that matches a pattern."""


def word_error(error: ErrorDetails) -> str:
    """Say as a sentence what is wrong, what is expected, and what may have been meant."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is required."
    if kind in TYPE_WORDS:
        return f"must be {TYPE_WORDS[kind]}, not {_shown(error.get('input'))}."
    if kind == "literal_error":
        expected = str(context.get("expected"))
        return f"must be {expected}. {_close(error.get('input'), expected)}".strip()
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        return f"use {PATTERN_WORDS.get(pattern, f'what matches {pattern}')}."
    if kind == "too_short":
        count = context.get("min_length")
        return f"needs at least {count} item{'s' if count != 1 else ''}."
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message if message.endswith((".", "?")) else f"{message}."


def join_type_errors(errors: list[ErrorDetails]) -> str:
    """Say what a value must be of which several types are tried, all in vain."""
    words = list(dict.fromkeys(TYPE_WORDS[error["type"]] for error in errors))
    return f"must be {' or '.join(words)}, not {_shown(errors[0].get('input'))}."


def _close(value: Any, expected: str) -> str:
    names = expected.replace(" or ", ", ").replace("'", "").split(", ")
    close = get_close_matches(str(value), names, n=1)
    return f"Did you mean '{close[0]}'?" if close else ""


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value[:40]}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return str(value)
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def refuse_bool_as_number(value: Any, read: Callable[[Any], Any]) -> Any:
    """Read a field of a model, but not `true` as 1, which deletes what is a day old.

    For `field_validator(..., mode="wrap")`. Raises `ValueError`.
    """
    number = read(value)
    if isinstance(value, bool) and isinstance(number, int | float) and number is not value:
        raise ValueError("must be a number, not true or false")
    return number
