"""Arguments as language models write them."""

from __future__ import annotations

from typing import Any

import pytest

from tools.model_arguments import read_arguments
from tools.registry import declare_tools

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What to look for."},
        "limit": {"type": "integer"},
        "score": {"type": "number"},
        "exact": {"type": "boolean"},
        "where": {"type": "object"},
        "names": {"anyOf": [{"type": "string"}, {"type": "array"}]},
        "lines": {"type": "array"},
        "note": {"type": ["string", "null"]},
    },
}


@pytest.mark.parametrize(
    ("written", "values", "dropped"),
    [
        ({"query": "ships"}, {"query": "ships"}, []),
        ({"query": {"type": "string"}}, {}, ["query"]),
        ({"query": {"type": "string", "description": "What to look for."}}, {}, ["query"]),
        ({"query": {"type": "string", "value": "ships"}}, {"query": "ships"}, []),
        ({"query": {"description": "What to look for."}}, {}, ["query"]),
        ({"query": "string"}, {}, ["query"]),
        ({"query": "What to look for."}, {}, ["query"]),
        (
            {"query": "ships", "limit": {"type": "integer", "default": 5}},
            {"query": "ships"},
            ["limit"],
        ),
        ({"query": "ships", "type": "object"}, {"query": "ships"}, []),
        ({"query": "ships", "description": "x", "required": ["query"]}, {"query": "ships"}, []),
        ({"properties": {"query": "ships"}}, {"query": "ships"}, []),
        ({"type": "object", "properties": {"query": {"type": "string"}}}, {}, ["query"]),
        ({"arguments": {"query": "ships"}}, {"query": "ships"}, []),
        ({"where": {"type": "object"}}, {}, ["where"]),
        ({"where": {"type": "report"}}, {"where": {"type": "report"}}, []),
        ({"where": {"title": "Guide"}}, {"where": {"title": "Guide"}}, []),
        ({"where": '{"title": "Guide"}'}, {"where": {"title": "Guide"}}, []),
        ({"limit": "5"}, {"limit": 5}, []),
        ({"limit": 5.0}, {"limit": 5}, []),
        ({"score": "0.5"}, {"score": 0.5}, []),
        ({"exact": "true"}, {"exact": True}, []),
        ({"exact": "True"}, {"exact": True}, []),
        ({"limit": "true"}, {"limit": "true"}, []),
        ({"limit": "many"}, {"limit": "many"}, []),
        ({"query": "5"}, {"query": "5"}, []),
        ({"names": "[1]"}, {"names": "[1]"}, []),
        ({"lines": "[1]"}, {"lines": [1]}, []),
        ({"limit": None}, {}, ["limit"]),
        ({"note": None}, {"note": None}, []),
        ({"unknown": 1}, {"unknown": 1}, []),
    ],
)
def test_arguments_are_what_the_model_meant(
    written: dict[str, Any], values: dict[str, Any], dropped: list[str]
) -> None:
    assert read_arguments(written, PARAMETERS) == (values, dropped, [])


def test_a_tool_without_declared_arguments_gets_what_was_written() -> None:
    written = {"type": "object", "x": None}

    assert read_arguments(written, {"type": "object"}) == (written, [], [])


@pytest.mark.parametrize("properties", [PARAMETERS["properties"], {}])
def test_what_is_no_argument_of_a_tool_that_takes_no_others_is_left_out(
    properties: dict[str, Any],
) -> None:
    parameters = {"properties": properties, "additionalProperties": False}
    written = {name: "ships" for name in properties if name == "query"}

    read = read_arguments({**written, "result": 42, "type": "object"}, parameters)

    assert read == (written, [], ["result"])


@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"additionalProperties": True},
        {"additionalProperties": False, "patternProperties": {"^x-": {}}},
    ],
)
def test_what_an_open_tool_may_take_goes_to_it(rest: dict[str, Any]) -> None:
    written = {"query": "ships", "x-more": 1}

    assert read_arguments(written, {**PARAMETERS, **rest}) == (written, [], [])


def test_no_schema_of_a_shipped_tool_has_an_example_to_copy() -> None:
    texts = [
        (tool["name"], text)
        for tool in declare_tools().describe()
        for text in _descriptions(tool["parameters"])
    ]

    assert [each for each in texts if _has_example(each[1])] == []


def _descriptions(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [text for item in schema for text in _descriptions(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["description"]] if isinstance(schema.get("description"), str) else []
    return own + [text for item in schema.values() for text in _descriptions(item)]


def _has_example(text: str) -> bool:
    return any(sign in text for sign in ("{", "such as", "as in", "e.g.", "example"))
