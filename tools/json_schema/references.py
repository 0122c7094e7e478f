"""Which references a JSON schema may hold: to parts of itself, and none that goes in a circle.

Pure. A circle is one that never comes to a smaller value, as `{"$ref": "#"}`: a tree that names
itself for its branches is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import unquote

from tools.json_schema.patterns import compile_pattern

DYNAMIC = ("$dynamicRef", "$recursiveRef")
HOLDS_SCHEMA = (
    *("additionalProperties", "contains", "contentSchema", "items", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "else", "if", "not", "then"),
)
HOLDS_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
HOLDS_MAP = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
SAME_VALUE = frozenset(
    ("allOf", "anyOf", "oneOf", "dependentSchemas", "else", "if", "not", "then", "$ref")
)
"""Keywords whose schemas are checked against the very value that theirs is checked against."""
NAMES = ("required", "type")

Schema = Mapping[str, Any]


def find_problem(schema: Any) -> str | None:
    """Return what of a schema's references, patterns and lists of names cannot be used."""
    survey = _Survey(schema)
    try:
        survey.walk()
    except ValueError as error:
        return str(error)
    return None


def find_target(root: Any, reference: str) -> Any:
    """Return the part of a schema that a reference with a pointer leads to; None without one."""
    here = root
    for part in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping):
            here = here.get(name)
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            return None
    return here


@dataclass
class _Survey:
    """One walk over a schema and all that it refers to."""

    root: Any
    anchors: dict[str, Any] = field(default_factory=dict)
    visited: dict[int, Any] = field(default_factory=dict)
    same_value: dict[int, set[int]] = field(default_factory=dict)
    """By the id of each schema, those that are checked against the same value."""

    def walk(self) -> None:
        """Raise `ValueError` for the first thing that is wrong."""
        references: list[tuple[Schema, str]] = []
        pending = [self.root]
        while pending:
            while pending:
                pending += self._visit(pending.pop(), references)
            # All anchors are known by now. What a reference leads to may stand where no schema is.
            while references and not pending:
                source, reference = references.pop()
                target = self._resolve(reference)
                self.same_value[id(source)].add(id(target))
                pending.append(target)
        try:
            TopologicalSorter(self.same_value).prepare()
        except CycleError as error:
            raise ValueError("its references go in a circle.") from error

    def _visit(self, schema: Any, references: list[tuple[Schema, str]]) -> list[Any]:
        if not isinstance(schema, Mapping) or id(schema) in self.visited:
            return []
        self.visited[id(schema)] = schema
        _check_keywords(schema, is_root=schema is self.root)
        if isinstance(anchor := schema.get("$anchor"), str):
            self.anchors[anchor] = schema
        if isinstance(reference := schema.get("$ref"), str):
            references.append((schema, reference))
        inner = list(_subschemas(schema))
        self.same_value[id(schema)] = {id(part) for keyword, part in inner if keyword in SAME_VALUE}
        return [part for _, part in inner]

    def _resolve(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise ValueError(f"the reference '{reference[:200]}' leads out of the schema.")
        pointer = unquote(reference[1:])
        by_name = pointer and pointer[0] != "/"
        target = self.anchors.get(pointer) if by_name else find_target(self.root, reference)
        if not isinstance(target, Mapping | bool):
            raise ValueError(f"the reference '{reference[:200]}' leads to nothing.")
        return target


def _subschemas(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Yield every schema that stands in a schema, with its keyword."""
    for keyword in HOLDS_SCHEMA:
        if keyword in schema:
            yield keyword, schema[keyword]
    for keyword in HOLDS_LIST:
        if isinstance(parts := schema.get(keyword), list):
            yield from ((keyword, part) for part in parts)
    for keyword in HOLDS_MAP:
        if isinstance(by_name := schema.get(keyword), Mapping):
            yield from ((keyword, part) for part in by_name.values())


def _check_keywords(schema: Schema, *, is_root: bool) -> None:
    for keyword in DYNAMIC:
        if keyword in schema:
            raise ValueError(f"`{keyword}` is not followed here: use `$ref` within the schema.")
    # Either would make another dialect or another base of what is below it.
    for keyword in () if is_root else ("$schema", "$id"):
        if keyword in schema:
            raise ValueError(f"`{keyword}` stands only at the top of a schema.")
    # The check of the schema itself compares such a list's items with each other.
    for keyword in NAMES:
        if isinstance(names := schema.get(keyword), list):
            _check_names(keyword, names)
    if isinstance(dependent := schema.get("dependentRequired"), Mapping):
        for names in dependent.values():
            _check_names("dependentRequired", names)
    _check_patterns(schema)


def _check_names(keyword: str, names: Any) -> None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"`{keyword}` is a list of names.")


def _check_patterns(schema: Schema) -> None:
    by_name = schema.get("patternProperties")
    patterns = list(by_name) if isinstance(by_name, Mapping) else []
    if patterns and "unevaluatedProperties" in schema:
        raise ValueError("`unevaluatedProperties` does not know `patternProperties` here.")
    if isinstance(pattern := schema.get("pattern"), str):
        patterns.append(pattern)
    for pattern in patterns:
        try:
            compile_pattern(pattern)
        except ValueError as error:
            raise ValueError(f"the pattern '{pattern[:80]}' cannot be used: {error}.") from error
