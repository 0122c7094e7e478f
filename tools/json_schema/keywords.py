"""The keywords of JSON Schema, each counting what it touches.

Owns the validator class that `schema` uses: the library's, whose keywords spend steps of the check
under way (one keyword, item or name each), and whose patterns and comparisons of items are linear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from config.steps import STEPS
from tools.json_schema.patterns import compile_pattern

CHARS_PER_STEP = 64
"""Of an error's text: it is written, or an error handed on, in about the time of one step."""

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def _counted(keyword: Keyword, cost: Callable[[Any, Any], int] | None = None) -> Keyword:
    """Wrap a keyword so that it spends steps before it begins and for each error's text."""

    def check(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        steps = STEPS.get()
        steps.spend(1 + (cost(rule, value) if cost else _length(rule) + _length(value)))
        for error in keyword(validator, rule, value, schema) or ():
            steps.spend(1 + len(error.message) // CHARS_PER_STEP)
            yield error

    return check


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _square(rule: Any, value: Any) -> int:
    """Count what the library compares: each item with a list of those evaluated."""
    return _length(value) * (1 + _length(value) // 16)


def _comparisons(rule: Any, value: Any) -> int:
    """Count the comparisons with each of an `enum`."""
    size = len(value) // CHARS_PER_STEP if isinstance(value, str) else _deep_size(value)
    return _length(rule) * (1 + size)


def _comparison(rule: Any, value: Any) -> int:
    return _comparisons([rule], value)


def _dependencies(rule: Any, value: Any) -> int:
    return sum(map(_length, rule.values())) + _length(rule)


def _deep_size(value: Any) -> int:
    """Count the values within a value, spending a step for each container's items."""
    size, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list | dict):
            size += len(item)
            STEPS.get().spend(len(item))
            pending += item.values() if isinstance(item, dict) else item
    return size


def _freeze(value: Any) -> Any:
    """Return a hashable value that equals another's exactly when JSON says the two are equal."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, list):
        return list, tuple(map(_freeze, value))
    if isinstance(value, dict):
        return dict, frozenset((key, _freeze(item)) for key, item in value.items())
    return value


def _unique_items(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not rule or not isinstance(value, list):
        return
    STEPS.get().spend(_deep_size(value))
    if len({_freeze(item) for item in value}) < len(value):
        yield ValidationError("the items are not all different")


def _matches(pattern: str, text: str) -> bool:
    compiled = compile_pattern(pattern)
    STEPS.get().spend(compiled.steps(text))
    return compiled.matches(text)


def _pattern(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _matches(rule, value):
        yield ValidationError(f"{value!r} does not match {rule!r}")


def _pattern_properties(
    validator: Any, rule: Any, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    for pattern, subschema in rule.items():
        for name, item in value.items():
            if _matches(pattern, name):
                yield from validator.descend(item, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, rule: Any, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extras = [
        name
        for name in value
        if name not in known and not any(_matches(pattern, name) for pattern in patterns)
    ]
    if isinstance(rule, Mapping):
        for name in extras:
            yield from validator.descend(value[name], rule, path=name)
    elif not rule and extras:
        yield ValidationError(f"there is no such property: {', '.join(map(repr, extras))}")


_COSTS: Mapping[str, Callable[[Any, Any], int]] = {
    "const": _comparison,
    "enum": _comparisons,
    "dependentRequired": _dependencies,
    "unevaluatedItems": _square,
    "unevaluatedProperties": _square,
}
_OWN: Mapping[str, Keyword] = {
    "additionalProperties": _additional_properties,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique_items,
}
CountingValidator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        name: _counted(_OWN.get(name, keyword), _COSTS.get(name))
        for name, keyword in Draft202012Validator.VALIDATORS.items()
    },
)
"""The library's validator of JSON Schema 2020-12 with counted keywords; for `counting` blocks."""
