"""The form of a schema: placeholders in the places of values, and a bounded size."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphs.chat.schema_skeleton import build_skeleton, list_placeholders

NODE = {
    "type": "object",
    "properties": {"value": {"type": "number"}, "next": {"$ref": "#/$defs/node"}},
}


@pytest.mark.parametrize(
    ("schema", "skeleton"),
    [
        ({"type": "string"}, "<string>"),
        ({"type": ["null", "integer"]}, "<integer>"),
        ({"type": "null"}, "<null>"),
        ({"type": "boolean"}, "<true | false>"),
        ({"enum": ["a", 1, None]}, "<a | 1 | null>"),
        ({"const": "v1"}, "v1"),
        ({}, "<value>"),
        ({"type": "array", "items": {"type": "string"}}, ["<string>"]),
        ({"type": "array", "prefixItems": [{"type": "number"}]}, ["<number>"]),
        ({"type": "array"}, ["<value>"]),
        ({"properties": {"a": {"type": "string"}}}, {"a": "<string>"}),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "<integer>"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "number"}}}, "<number>"),
        ({"$ref": "#/$defs/none"}, "<value>"),
        ({"type": "object", "properties": {"a": True}}, {"a": "<value>"}),
    ],
    ids=str,
)
def test_skeleton_names_what_goes_where(schema: Any, skeleton: Any) -> None:
    assert build_skeleton(schema) == skeleton


def test_skeleton_of_a_schema_within_itself_ends() -> None:
    skeleton = build_skeleton({"$ref": "#/$defs/node", "$defs": {"node": NODE}})

    assert len(json.dumps(skeleton)) < 500
    assert skeleton["next"]["value"] == "<number>"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"n{number}": {} for number in range(10_000)}},
        {"enum": ["x" * 1000] * 1000},
    ],
    ids=["wide", "long"],
)
def test_skeleton_of_a_large_schema_is_bounded(schema: Any) -> None:
    assert len(json.dumps(build_skeleton(schema))) < 2000


def test_placeholders_are_found_at_every_depth() -> None:
    assert list(list_placeholders({"a": ["<x>", {"b": "<y>"}], "c": "z"})) == ["<x>", "<y>"]
