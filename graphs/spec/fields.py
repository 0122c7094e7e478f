"""Typed fields that a caller fills: an agent's input, a person's answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import convert_to_messages

from config.errors import Invalid, MotetError, nearest
from graphs.compile.state import FILES, JSON_TYPES, fits
from graphs.spec.parts import InputField
from tools.references import WAYS, parse_reference

MAX_DEPTH = 64
Wrong = Callable[[str, str], MotetError]
"""Makes the error for a field (empty: for all of them) and what is wrong with it."""


def fields_schema(fields: Mapping[str, InputField]) -> dict[str, Any]:
    """The JSON schema of an object with these fields."""
    return {
        "type": "object",
        "properties": {name: _property(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }


def field_values(fields: Mapping[str, InputField], given: Any, wrong: Wrong) -> dict[str, Any]:
    """A value for every field. Raises what `wrong` makes."""
    if _too_deep(given):
        raise wrong("", f"is nested too deeply; at most {MAX_DEPTH} levels are taken.")
    if given is not None and not isinstance(given, Mapping):
        raise wrong("", f"must be an object, not {_a(_kind(given))}.")
    for name in given or {}:
        if name not in fields:
            raise wrong(str(name), f"there is no such field. {nearest(str(name), fields)}")
    return {name: _value(name, field, given or {}, wrong) for name, field in fields.items()}


def _too_deep(value: Any) -> bool:
    level = [value] if isinstance(value, Mapping | list | tuple) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, Mapping) else container)
            if isinstance(item, Mapping | list | tuple)
        ]
    return bool(level)


def _value(name: str, field: InputField, given: Mapping[str, Any], wrong: Wrong) -> Any:
    if name not in given:
        if field.required:
            raise wrong(name, "is required.")
        return field.default
    value = given[name]
    if value is None and field.required:
        raise wrong(name, "is required, and null is no value.")
    if field.type == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not fits(field.type, value):
        raise wrong(name, f"must be {_a(field.type)}, not {_a(_kind(value))}.")
    if field.enum is not None and value not in field.enum:
        raise wrong(name, f"must be one of {', '.join(map(repr, field.enum))}.")
    if field.type in FILES and value not in (None, ""):
        _check_file(name, value, wrong)
    return _messages(name, value, wrong) if field.type == "messages" else value


def _check_file(name: str, value: Any, wrong: Wrong) -> None:
    try:
        parse_reference(value, name)
    except Invalid as error:
        raise wrong(name, f"names no file. {WAYS}") from error


def _messages(name: str, value: Any, wrong: Wrong) -> Any:
    items = list(value) if isinstance(value, list | tuple) else [value]
    try:
        convert_to_messages(items)
    except (ValueError, NotImplementedError, TypeError, KeyError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise wrong(name, f"this is not a list of chat messages: {text}") from error
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


def _kind(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list"}
    return kinds.get(type(value), "null" if value is None else "object")


def _a(kind: str) -> str:
    if kind in ("messages", "any", "null"):
        return kind
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
