"""A schema names parts of itself only; everything else is refused before a value is checked."""

from __future__ import annotations

from typing import Any

import pytest

from tools.json_schema.schema import JsonSchema

CIRCLE = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "http://127.0.0.1:9/schema"}, "leads out of the schema"),
        ({"properties": {"a": {"$ref": "file:///etc/hostname"}}}, "leads out of the schema"),
        ({"$ref": "other.json#/a"}, "leads out of the schema"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "leads out of the schema"),
        ({"patternProperties": {"^a": {"$ref": "//host/a"}}}, "leads out of the schema"),
        ({"not": {"if": {"then": True, "$ref": "urn:x"}}}, "leads out of the schema"),
        ({"$ref": "#/x-a", "x-a": {"$ref": "http://127.0.0.1:9/"}}, "leads out of the schema"),
        ({"$ref": "#/default", "default": {"$dynamicRef": "#a"}}, "is not followed here"),
        ({"items": {"$dynamicRef": "http://127.0.0.1:9/schema"}}, "is not followed here"),
        ({"$defs": {"a": {"$recursiveRef": "#"}}}, "is not followed here"),
        ({"items": {"$id": "http://127.0.0.1:9/", "$ref": "#/a"}}, "only at the top"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "only at the top"),
        ({"$ref": "#/$defs/b", "$defs": {"a": {}}}, "leads to nothing"),
        ({"$ref": "#b", "$defs": {"a": {"$anchor": "a"}}}, "leads to nothing"),
        ({"$ref": "#/required", "required": ["a"]}, "leads to nothing"),
        ({"$ref": "#/allOf/1", "allOf": [{}]}, "leads to nothing"),
        ({"$ref": "#"}, "in a circle"),
        ({"$anchor": "a", "oneOf": [{"$ref": "#a"}]}, "in a circle"),
        ({**CIRCLE, "$ref": "#/$defs/a"}, "in a circle"),
        ({**CIRCLE, "properties": {"a": {}}}, "in a circle"),
        ({"dependentSchemas": {"a": {"not": {"$ref": "#"}}}}, "in a circle"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_refused(schema: Any, says: str) -> None:
    assert says in (JsonSchema(schema).problem() or "")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"branches": {"items": {"$ref": "#"}}}}, {"branches": [{"branches": []}]}),
        ({"$anchor": "a", "properties": {"a": {"$ref": "#a"}}}, {"a": {"a": {}}}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, "text"),
        ({"$ref": "#/%24defs/a", "$defs": {"a": True}}, 1),
        ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "integer"}}}, 1),
        ({"$ref": "#/oneOf/0", "oneOf": [{"type": "null"}]}, None),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}, {}),
        ({"$id": "https://example.org/a", "$ref": "#/$defs/a", "$defs": {"a": {}}}, 1),
        ({"properties": {"$ref": {"const": "http://a"}}}, {"$ref": "http://a"}),
        ({"default": {"$ref": "http://a"}, "examples": [{"$dynamicRef": "#"}]}, 1),
    ],
)
async def test_a_schema_may_name_its_own_parts(schema: Any, value: Any) -> None:
    assert JsonSchema(schema).problem() is None
    assert await JsonSchema(schema).find_error(value) is None


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "strin"}, "no JSON schema"),
        ({"properties": [1]}, "no JSON schema"),
        ({"required": [{}, 1]}, "a list of names"),
        ({"dependentRequired": {"a": "b"}}, "a list of names"),
        ({"unevaluatedProperties": False, "patternProperties": {"a": {}}}, "does not know"),
    ],
)
def test_what_is_no_schema_is_refused_with_words(schema: Any, says: str) -> None:
    assert says in (JsonSchema(schema).problem() or "")


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"not": schema}

    assert "nested too deeply" in (JsonSchema(schema).problem() or "")
