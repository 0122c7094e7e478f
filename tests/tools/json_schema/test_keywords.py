"""Every keyword counts what it touches, and a check ends when its steps are used up."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from config.steps import TooManySteps, counting
from tools.json_schema.keywords import CountingValidator
from tools.json_schema.schema import MAX_STEPS, JsonSchema, run_checks

NAMES = [f"n{number}" for number in range(4000)]
NUMBERS = list(range(4000))
MANY: dict[str, tuple[Any, Any]] = {
    "additionalProperties": ({"additionalProperties": {"type": "null"}}, dict.fromkeys(NAMES)),
    "contains": ({"contains": {"const": -1}, "minContains": 0}, NUMBERS),
    "dependentRequired": ({"dependentRequired": {"n0": NAMES}}, dict.fromkeys(NAMES)),
    "enum": ({"items": {"enum": [*NAMES, 1]}}, [1] * 4000),
    "enum of lists": ({"enum": [[*NUMBERS, n] for n in range(100)]}, [*NUMBERS, 99]),
    "items": ({"items": {}}, NUMBERS),
    "pattern": ({"pattern": "(a{9}b{9}){9}$"}, "ab" * 100_000),
    "patternProperties": ({"patternProperties": {"^n1": {"type": "null"}}}, dict.fromkeys(NAMES)),
    "prefixItems": ({"prefixItems": [{} for _ in NUMBERS]}, NUMBERS),
    "properties": ({"properties": {name: {} for name in NAMES}}, dict.fromkeys(NAMES)),
    "propertyNames": ({"propertyNames": {"minLength": 1}}, dict.fromkeys(NAMES)),
    "required": ({"required": NAMES}, dict.fromkeys(NAMES)),
    "unevaluatedItems": ({"prefixItems": [{}], "unevaluatedItems": {}}, NUMBERS),
    "unevaluatedProperties": ({"unevaluatedProperties": {}}, dict.fromkeys(NAMES)),
    "uniqueItems": ({"uniqueItems": True}, [[number] for number in NUMBERS]),
}


def doubling(keyword: str, depth: int) -> dict[str, Any]:
    """Return a schema in which each part asks for the next one twice."""
    parts: dict[str, Any] = {"a0": {"type": "integer"}}
    for number in range(1, depth + 1):
        below = {"$ref": f"#/$defs/a{number - 1}"}
        parts[f"a{number}"] = {keyword: [below, dict(below)]}
    return {"$defs": parts, "$ref": f"#/$defs/a{depth}"}


@pytest.mark.parametrize("keyword", MANY)
def test_a_keyword_counts_what_it_touches(keyword: str) -> None:
    schema, value = MANY[keyword]

    with counting(3000), pytest.raises(TooManySteps):
        list(CountingValidator(schema).iter_errors(value))


def test_every_keyword_of_the_library_is_counted() -> None:
    own, library = CountingValidator.VALIDATORS, Draft202012Validator.VALIDATORS

    assert set(own) == set(library)
    assert not [name for name in library if own[name] is library[name]]


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
async def test_a_schema_whose_parts_ask_for_each_other_twice_ends(keyword: str) -> None:
    schema = JsonSchema(doubling(keyword, 30))
    assert schema.problem() is None

    error = await schema.find_error("text")

    assert error is not None
    assert "too much work" in error.message


async def test_a_long_list_is_checked_in_a_thread_and_fits() -> None:
    schema = JsonSchema({"items": {"type": "integer"}, "uniqueItems": True})

    assert await schema.find_error(list(range(20_000))) is None
    error = await schema.find_error([*range(20_000), 7])
    assert error is not None
    assert error.message == "the items are not all different"


async def test_the_texts_of_errors_are_counted() -> None:
    many = JsonSchema({"allOf": [{"type": "string"} for _ in range(2000)]})

    error = await many.find_error(["word" * 10_000])

    assert error is not None
    assert "too much work" in error.message
    assert MAX_STEPS < 2000 * 40_000


@pytest.mark.parametrize(
    ("value", "differ"),
    [
        ([1, True, "1", [1], [True], {"a": 1}, {"a": True}, None, 0, False], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], False),
        ([[], {}, ""], True),
        ([None, None], False),
    ],
)
async def test_items_are_compared_as_json_does(value: Any, differ: bool) -> None:
    error = await JsonSchema({"uniqueItems": True}).find_error(value)

    assert (error is None) is differ


async def test_properties_beyond_names_and_patterns_are_refused() -> None:
    schema = JsonSchema(
        {
            "properties": {"a": {}},
            "patternProperties": {"^x-": {"type": "integer"}},
            "additionalProperties": False,
        }
    )

    assert await schema.find_error({"a": 1, "x-b": 2}) is None
    error = await schema.find_error({"a": 1, "b": 2})
    assert error is not None
    assert "'b'" in error.message
    error = await schema.find_error({"x-b": "text"})
    assert error is not None
    assert list(error.absolute_path) == ["x-b"]


async def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]

    error = await JsonSchema({"items": {"$ref": "#"}}).find_error(value)

    assert error is not None
    assert "nested too deeply" in error.message


async def test_long_check_of_an_input_is_begun_anew_in_a_thread() -> None:
    schema = JsonSchema({"items": {"type": "integer"}})
    threads = []

    def work() -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return schema.find_error_here(NUMBERS)

    assert await run_checks(work) is None
    assert threads == [True, False]


async def test_input_that_takes_too_much_work_does_not_fit() -> None:
    schema = JsonSchema({"items": {"enum": [*NAMES, 1]}})

    error = await run_checks(lambda: schema.find_error_here([1] * 4000))

    assert error is not None
    assert "too much work" in error.message
