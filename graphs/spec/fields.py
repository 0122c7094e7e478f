"""Typed fields that a caller fills: an agent's input, a person's answer.

Owns checking values against declared fields, and the fields' JSON schema. Which error is raised is
the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import convert_to_messages

from config.errors import Invalid, MotetError, nearest
from config.json_values import is_deeper
from graphs.spec.channel_types import FILES, JSON_TYPES, fits
from graphs.spec.channels import InputField
from tools.references import REFERENCE_FORMS, parse_reference

MAX_DEPTH = 64
"""Levels of lists and objects in a value."""
MakeError = Callable[[str, str], MotetError]
"""Makes the error for a field (empty: for all of them) and what is wrong with it."""


def fields_schema(fields: Mapping[str, InputField]) -> dict[str, Any]:
    """Return the JSON schema of an object with these fields."""
    return {
        "type": "object",
        "properties": {name: _property(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }


def check_fields(
    fields: Mapping[str, InputField], values: Any, make_error: MakeError
) -> dict[str, Any]:
    """Check values against their fields, and return a value for every field.

    Raises what `make_error` makes, for the first thing that is wrong.
    """
    if is_deeper(values, MAX_DEPTH):
        raise make_error("", f"is nested too deeply; at most {MAX_DEPTH} levels are taken.")
    if values is not None and not isinstance(values, Mapping):
        raise make_error("", f"must be an object, not {_with_article(_type_name(values))}.")
    for name in values or {}:
        if name not in fields:
            raise make_error(str(name), f"there is no such field. {nearest(str(name), fields)}")
    return {
        name: _check_field(name, field, values or {}, make_error) for name, field in fields.items()
    }


def _check_field(
    name: str, field: InputField, values: Mapping[str, Any], make_error: MakeError
) -> Any:
    if name not in values:
        if field.required:
            raise make_error(name, "is required.")
        return field.default
    value = values[name]
    if value is None and field.required:
        raise make_error(name, "is required, and null is no value.")
    # JSON of JavaScript writes 3 as 3.0 at times.
    if field.type == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not fits(field.type, value):
        expected, actual = _with_article(field.type), _with_article(_type_name(value))
        raise make_error(name, f"must be {expected}, not {actual}.")
    if field.enum is not None and value not in field.enum:
        raise make_error(name, f"must be one of {', '.join(map(repr, field.enum))}.")
    if field.type in FILES and value not in (None, ""):
        _check_file(name, value, make_error)
    return _check_messages(name, value, make_error) if field.type == "messages" else value


def _check_file(name: str, value: Any, make_error: MakeError) -> None:
    try:
        parse_reference(value, name)
    except Invalid as error:
        raise make_error(name, f"names no file. {REFERENCE_FORMS}") from error


def _check_messages(name: str, value: Any, make_error: MakeError) -> Any:
    items = list(value) if isinstance(value, list | tuple) else [value]
    try:
        convert_to_messages(items)
    except (ValueError, NotImplementedError, TypeError, KeyError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise make_error(name, f"this is not a list of chat messages: {text}") from error
    return items


def _property(field: InputField) -> dict[str, Any]:
    schema = dict(JSON_TYPES[field.type])
    if field.description:
        schema["description"] = field.description
    if not field.required:
        schema["default"] = field.default
    if field.enum is not None:
        schema["enum"] = field.enum
    return schema


def _type_name(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list"}
    return names.get(type(value), "null" if value is None else "object")


def _with_article(type_name: str) -> str:
    if type_name in ("messages", "any", "null"):
        return type_name
    return f"{'an' if type_name[0] in 'aeio' else 'a'} {type_name}"
