"""An example of a JSON schema's form, to be filled in: what small models follow best.

Pure. Names stand for themselves, and in the place of each value words in angle brackets say what
goes there, so that nobody can take an example for an answer. Invariant: the size is bounded,
whatever the schema's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tools.json_schema.references import find_target

MAX_DEPTH = 5
MAX_PARTS = 60
"""Values in a skeleton; what would come after them is left out."""
MAX_CHOICES = 8
"""Of an `enum`; the schema itself has them all."""
MAX_PLACEHOLDER_CHARS = 120


def build_skeleton(schema: Mapping[str, Any]) -> Any:
    """Return a value of the schema's form, whose parts are placeholders."""
    return _Builder(schema).build(schema, MAX_DEPTH)


def list_placeholders(skeleton: Any) -> Iterator[str]:
    """Yield the texts of a skeleton that stand in the place of values."""
    if isinstance(skeleton, str) and skeleton.startswith("<") and skeleton.endswith(">"):
        yield skeleton
    elif isinstance(skeleton, Mapping | list):
        for part in skeleton.values() if isinstance(skeleton, Mapping) else skeleton:
            yield from list_placeholders(part)


def follow(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema, or the one that its references lead to; empty where that is none."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        schema = find_target(root, str(schema["$ref"]))
    return schema if isinstance(schema, Mapping) else {}


class _Builder:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_PARTS

    def build(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        schema = follow(schema, self._root)
        if "const" in schema:
            return schema["const"]
        if isinstance(choices := schema.get("enum"), list):
            return _placeholder(" | ".join(map(_write, choices[:MAX_CHOICES])))
        if (options := _options(schema)) and depth:
            return self.build(options[0], depth - 1)
        kind = _kind(schema)
        if kind == "object" and depth:
            return self._build_object(schema, depth)
        if kind == "array" and depth:
            items: Any = schema.get("items") or next(iter(schema.get("prefixItems") or ()), {})
            return [self.build(items, depth - 1)]
        return _placeholder(kind)

    def _build_object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        built = {}
        for name, part in (schema.get("properties") or {}).items():
            if self._left <= 0:
                break
            built[name] = self.build(part, depth - 1)
        return built


def _options(schema: Mapping[str, Any]) -> list[Any]:
    """Return what a value may be, or must be, by a schema that only puts others together."""
    if "properties" in schema:
        return []
    choices = [schema[key] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)]
    options: list[Any] = choices[0] if choices else []
    return [each for each in options if each != {"type": "null"}]


def _kind(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", "object" if "properties" in schema else "value")
    named = [types] if isinstance(types, str) else [each for each in types if each != "null"]
    return "true | false" if named == ["boolean"] else str(named[0] if named else "null")


def _write(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _placeholder(text: str) -> str:
    return f"<{text[:MAX_PLACEHOLDER_CHARS]}>"
