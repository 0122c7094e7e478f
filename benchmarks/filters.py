"""How work grows with its values: every filter of templates and every keyword of schemas.

Each is fed values of doubling size, without a bound on its steps. A growth of 1.0 is linear, 2.0
quadratic; where the steps grow as the time does, the bound on steps is one on time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.markup import escape

from benchmarks.measure import show
from config.steps import counting
from graphs.templates.expressions import Expressions
from graphs.templates.sandbox import FILTERS
from tools.json_schema.keywords import CountingValidator

SIZES = (1000, 2000, 4000, 8000)
REPEATS = 3
UNBOUNDED = 10**12


def words(size: int) -> str:
    return "word " * size


def prose(size: int) -> str:
    return "A fox ran off. It was *quick*.\n" * size


def numbers(size: int) -> list[int]:
    return list(range(size, 0, -1))


def texts(size: int) -> list[str]:
    return [f"text {number}" for number in range(size, 0, -1)]


def records(size: int) -> list[dict[str, Any]]:
    return [{"id": n, "tags": [n % 7], "title": "A", "text": "Some words."} for n in range(size)]


def mapping(size: int) -> dict[str, int]:
    return {f"name {number}": number for number in range(size)}


def turns(size: int) -> list[dict[str, str]]:
    return [{"question": f"How is engine {number} started?"} for number in range(size)]


def of(mark: str) -> Callable[[int], str]:
    return lambda size: mark * size


OPERATIONS: dict[str, Callable[[int], Any]] = {
    "abs": lambda size: -size,
    "capitalize": words,
    "chapters": prose,
    "cite": records,
    "count": numbers,
    "d": numbers,
    "date": lambda size: "2026-11-29",
    "default": numbers,
    "dictsort": mapping,
    "first": numbers,
    "flatten": lambda size: [[number] for number in range(size)],
    "float": of("0"),
    "from_json": lambda size: f"[{'1,' * size}1]",
    "fuse": lambda size: [records(size), records(size)],
    "get('title.x')": mapping,
    "groupby('id')": records,
    "int": of("0"),
    "items": mapping,
    "join(', ')": texts,
    "json": records,
    "last": numbers,
    "length": numbers,
    "list": words,
    "lower": words,
    "map('upper')": texts,
    "max": texts,
    "min": numbers,
    "number": lambda size: size,
    "pick([1])": numbers,
    "recent": records,
    "reject('even')": numbers,
    "rejectattr('id')": records,
    "replace('o', 'oo')": words,
    "reverse": numbers,
    "round": lambda size: size + 0.5,
    "scenes(9)": prose,
    "select('eq', 'x')": texts,
    "selectattr('id')": records,
    "sentences(999999)": prose,
    "sort": texts,
    "spoken": prose,
    "standalone(turns)": turns,
    "string": numbers,
    "sum": numbers,
    "title": words,
    "tojson(2)": records,
    "trim": words,
    "truncate(9)": words,
    "unique": texts,
    "unique_by('id')": records,
    "upper": words,
    "wordcount": words,
}
"""A value for each filter; `{{ value | filter }}` is what is measured."""
HOSTILE = {
    "spoken": ("`", "a`", "*a ", "_a ", "[", "![a", "[a](", "[a](b(c", "```\n", "\n", "# ", "[1,"),
    "chapters": ("# a\n", "# ", "A. ", "\n\n"),
    "sentences(9)": ("```\n", "! ", "e.g. ", "\n"),
    "scenes(200)": ("A. ", "\n\n"),
    "standalone([{'question': 'What is it?'}])": ("the same ", "a that ", "and "),
}
EXPRESSIONS: dict[str, Callable[[int], Any]] = {
    "value == value[:]": numbers,
    "0 in value": numbers,
    "'x' in value": words,
    "value ~ value": words,
    "value.split()": words,
    "value.rfind('x')": words,
    "{% for item in value %}{{ item.id }}{% endfor %}": records,
}
"""Parts of the language."""


@dataclass(frozen=True)
class Growth:
    """What doubling sizes took."""

    seconds: list[float]
    steps: list[int]

    def row(self, name: str, value: str) -> list[object]:
        per_step = self.seconds[-1] * 1e9 / max(self.steps[-1], 1)
        growths = [_exponent(self.seconds), _exponent([float(count) for count in self.steps])]
        return [name, value, self.seconds[-1] * 1e3, *growths, self.steps[-1], per_step]


HEADINGS = ("", "value", f"ms of {SIZES[-1]}", "growth", "of steps", "steps", "ns/step")


async def main() -> None:
    """Print the growth of each filter, hostile text, part of the language and keyword."""
    named = {name.partition("(")[0] for name in OPERATIONS}
    if missing := set(FILTERS) - named:
        raise SystemExit(f"These filters have no value to be measured with: {sorted(missing)}.")
    show("Filters of templates", HEADINGS, list(_filters()))
    show("Keywords of JSON schemas", HEADINGS, list(_keywords()))


def _filters() -> Iterator[list[object]]:
    for name, make in OPERATIONS.items():
        source = "'And then?' | standalone(value)" if make is turns else f"value | {name}"
        yield _grow_template(f"{{{{ {source} }}}}", make).row(name, make.__name__.strip("<>"))
    for name, marks in HOSTILE.items():
        for mark in marks:
            growth = _grow_template(f"{{{{ value | {name} }}}}", of(mark))
            yield growth.row(name.partition("(")[0], escape(repr(mark)))
    for source, make in EXPRESSIONS.items():
        template = source if source.startswith("{%") else f"{{{{ {source} }}}}"
        yield _grow_template(template, make).row(source[:24], make.__name__)


def _grow_template(source: str, make: Callable[[int], Any]) -> Growth:
    template = Expressions().template(source)
    return _grow(lambda value: template.value({"value": value}), make)


Case = tuple[Callable[[int], Any], Callable[[int], Any]]
"""Makers of a schema and of a value."""


def _names(size: int) -> list[str]:
    return [f"n{number}" for number in range(size)]


def _fixed(schema: Any) -> Callable[[int], Any]:
    return lambda size: schema


def _object(size: int) -> dict[str, Any]:
    return dict.fromkeys(_names(size))


KEYWORDS: dict[str, Case] = {
    "$ref": (_fixed({"$defs": {"a": {}}, "items": {"$ref": "#/$defs/a"}}), numbers),
    "additionalProperties": (_fixed({"additionalProperties": {"const": None}}), _object),
    "allOf": (lambda size: {"allOf": [{"minimum": 0}] * size}, lambda size: 1),
    "anyOf": (lambda size: {"anyOf": [{"minimum": 2}] * size}, lambda size: 1),
    "const": (lambda size: {"const": numbers(size)}, numbers),
    "contains": (_fixed({"contains": {"const": 0}, "minContains": 0}), numbers),
    "dependentRequired": (lambda size: {"dependentRequired": {"n0": _names(size)}}, _object),
    "dependentSchemas": (
        lambda size: {"dependentSchemas": {name: {} for name in _names(size)}},
        _object,
    ),
    "enum": (lambda size: {"enum": _names(size)}, lambda size: "x"),
    "exclusiveMaximum": (_fixed({"items": {"exclusiveMaximum": 10**9}}), numbers),
    "exclusiveMinimum": (_fixed({"items": {"exclusiveMinimum": 0}}), numbers),
    "format": (_fixed({"items": {"format": "date"}}), texts),
    "if": (_fixed({"items": {"if": {"minimum": 9}, "then": {}, "else": {}}}), numbers),
    "items": (_fixed({"items": {}}), numbers),
    "maxItems": (_fixed({"maxItems": 10**9}), numbers),
    "maxLength": (_fixed({"maxLength": 10**9}), words),
    "maxProperties": (_fixed({"maxProperties": 10**9}), _object),
    "maximum": (_fixed({"items": {"maximum": 10**9}}), numbers),
    "minItems": (_fixed({"minItems": 1}), numbers),
    "minLength": (_fixed({"minLength": 1}), words),
    "minProperties": (_fixed({"minProperties": 1}), _object),
    "minimum": (_fixed({"items": {"minimum": 0}}), numbers),
    "multipleOf": (_fixed({"items": {"multipleOf": 1}}), numbers),
    "not": (_fixed({"items": {"not": {"const": 0}}}), numbers),
    "oneOf": (lambda size: {"oneOf": [{"minimum": 2}] * size}, lambda size: 1),
    "pattern": (_fixed({"pattern": "(a+)+$"}), lambda size: "a" * size + "b"),
    "patternProperties": (_fixed({"patternProperties": {"(1+)+$": {}}}), _object),
    "prefixItems": (lambda size: {"prefixItems": [{}] * size}, numbers),
    "properties": (lambda size: {"properties": {name: {} for name in _names(size)}}, _object),
    "propertyNames": (_fixed({"propertyNames": {"minLength": 1}}), _object),
    "required": (lambda size: {"required": _names(size)}, _object),
    "type": (_fixed({"items": {"type": "integer"}}), numbers),
    "unevaluatedItems": (_fixed({"prefixItems": [{}], "unevaluatedItems": {}}), numbers),
    "unevaluatedProperties": (_fixed({"unevaluatedProperties": {}}), _object),
    "uniqueItems": (_fixed({"uniqueItems": True}), lambda size: [[n] for n in range(size)]),
}
"""A schema and a value for each keyword."""


def _keywords() -> Iterator[list[object]]:
    missing = set(CountingValidator.VALIDATORS) - set(KEYWORDS) - {"$dynamicRef"}
    if missing:
        raise SystemExit(f"These keywords have no schema to be measured with: {sorted(missing)}.")
    for name, (schema, make) in KEYWORDS.items():

        def check(pair: tuple[Any, Any]) -> None:
            for _ in CountingValidator(pair[0]).iter_errors(pair[1]):
                pass

        growth = _grow(check, lambda size, s=schema, m=make: (s(size), m(size)))
        yield growth.row(name, "")


def _grow(work: Callable[[Any], Any], make: Callable[[int], Any]) -> Growth:
    seconds, steps = [], []
    for size in SIZES:
        value = make(size)
        timings = []
        for _ in range(REPEATS):
            with counting(UNBOUNDED) as counter:
                begun = time.process_time()
                work(value)
                timings.append(time.process_time() - begun)
        seconds.append(min(timings))
        steps.append(UNBOUNDED - counter.left)
    return Growth(seconds, steps)


def _exponent(values: list[float]) -> float:
    """By how much the last doublings raise a value: the power of the size that it follows."""
    first, last = max(values[-3], 1e-9), max(values[-1], 1e-9)
    return math.log2(last / first) / 2


if __name__ == "__main__":
    asyncio.run(main())
