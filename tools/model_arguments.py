"""Arguments as language models write them, made what they are meant to be.

Small models copy the schema into the call: a type for a value, its description, keywords beside the
arguments. Such words are no values and are left out, and so is what is no argument of a tool that
takes no others. A value in the wrong type's clothes, such as "5" for a number, is taken for what it
says. Whether all fits is `Tool.validate`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

WRAPPERS = ("arguments", "parameters", "properties", "input", "kwargs")
"""What models put around arguments."""
WORDS = frozenset(
    (
        *("$schema", "additionalProperties", "anyOf", "const", "default", "description", "enum"),
        *("examples", "format", "items", "maxItems", "maxLength", "maximum", "minItems"),
        *("minLength", "minimum", "oneOf", "pattern", "properties", "required", "title", "type"),
        "value",
    )
)
"""Of a JSON schema."""
TYPES = frozenset(("string", "integer", "number", "boolean", "object", "array", "null"))
_MISSING = object()


class ModelArguments(NamedTuple):
    """The arguments, and the names of what was left out."""

    values: dict[str, Any]
    dropped: list[str]
    """Arguments whose values were words of the schema."""
    unknown: list[str]
    """What the tool does not have, words of the schema apart."""


def read_arguments(written: Mapping[str, Any], parameters: Mapping[str, Any]) -> ModelArguments:
    """Read what a model wrote as the arguments of a tool with these parameters."""
    properties: Mapping[str, Any] = parameters.get("properties") or {}
    if not properties and not _is_closed(parameters):
        return ModelArguments(dict(written), [], [])
    read = ModelArguments({}, [], [])
    for name, value in _unwrap(written, properties).items():
        if name in properties:
            fitted = _read_value(value, properties[name])
            if fitted is _MISSING:
                read.dropped.append(name)
            else:
                read.values[name] = fitted
        elif name not in WORDS:
            if _is_closed(parameters):
                read.unknown.append(name)
            else:
                read.values[name] = value
    return read


def _is_closed(parameters: Mapping[str, Any]) -> bool:
    """Tell whether a tool takes its declared arguments alone."""
    is_open = parameters.get("additionalProperties") is not False
    return not is_open and not parameters.get("patternProperties")


def _unwrap(written: Mapping[str, Any], properties: Mapping[str, Any]) -> Mapping[str, Any]:
    if properties.keys().isdisjoint(written):
        for name in WRAPPERS:
            if isinstance(written.get(name), Mapping):
                return dict(written[name])
    return written


def _read_value(value: Any, schema: Any) -> Any:
    schema = schema if isinstance(schema, Mapping) else {}
    types = types_of(schema)
    if value is None:
        return None if not types or "null" in types else _MISSING
    if isinstance(value, Mapping) and _is_schema(value, types):
        return value.get("value", _MISSING)
    if not isinstance(value, str):
        return _fit_number(value, types)
    is_word = value.strip() in types & TYPES or value == schema.get("description")
    return _MISSING if is_word else _fit_text(value, types)


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """Return the types that a value may have; none where the schema does not say."""
    named = schema.get("type", [])
    options = [each for key in ("anyOf", "oneOf") for each in schema.get(key) or ()]
    inner = (types_of(each) for each in options if isinstance(each, Mapping))
    return set([named] if isinstance(named, str) else named).union(*inner)


def _is_schema(value: Mapping[str, Any], types: set[str]) -> bool:
    """Tell whether an object is the schema of a value, and not one."""
    if not value or not value.keys() <= WORDS:
        return False
    is_typed = isinstance(value.get("type"), str) and value["type"] in TYPES
    return is_typed or (bool(types) and "object" not in types)


def _fit_number(value: Any, types: set[str]) -> Any:
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole and "integer" in types and "number" not in types else value


def _fit_text(text: str, types: set[str]) -> Any:
    """Return the value that a text stands for where no text may stand."""
    if not types or "string" in types:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = {"True": True, "False": False}.get(text.strip(), text)
    kinds = {"object": dict, "array": list, "boolean": bool, "integer": int, "number": int | float}
    fits = any(isinstance(value, kind) for name, kind in kinds.items() if name in types)
    return value if fits and (not isinstance(value, bool) or "boolean" in types) else text
