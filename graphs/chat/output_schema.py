"""JSON that fits a schema: out of a model's text, or as a person's answer, with what is wrong.

Invariant: checking fetches nothing. A reference leads only within its schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class OutputSchema:
    """A JSON schema that answers must fit."""

    schema: Mapping[str, Any]

    def problem(self) -> str | None:
        """Return why this is no usable schema; None where it is one."""
        try:
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            return f"this is no JSON schema: {error.message}"
        outside = [ref for ref in _references(self.schema) if not ref.startswith("#")]
        return f"the reference '{outside[0]}' leads out of the schema." if outside else None

    def parse(self, text: str) -> Any:
        """Return the value that a text holds. Raises `ValueError` with words for the model."""
        value = _parse_json(text)
        if error := self.error(value):
            raise ValueError(error)
        return value

    def error(self, value: Any) -> str | None:
        """Return what of a value does not fit, with its place; None where all of it does."""
        # An empty registry: the default one would fetch references from the network.
        validator = Draft202012Validator(self.schema, registry=Registry())
        try:
            error = best_match(validator.iter_errors(value))
        except Unresolvable as unresolvable:
            return f"the schema cannot be used: {unresolvable}"
        if error is None:
            return None
        path = ".".join(str(part) for part in error.absolute_path)
        return f"{path or 'the value'}: {error.message}"

    def titled(self) -> dict[str, Any]:
        """Return the schema as model libraries want it: with a title."""
        return {"title": "answer", **self.schema}

    def instruction(self) -> str:
        """Write the sentence that asks a model for this JSON."""
        text = json.dumps(self.schema, ensure_ascii=False)
        return f"Answer with JSON only, that fits this JSON schema:\n{text}"


def _parse_json(text: str) -> Any:
    """Read a text as JSON: the whole, then a fenced block, then what follows the first bracket."""
    candidates = [text.strip(), *(match.strip() for match in FENCE.findall(text))]
    begin = re.search(r"[\[{]", text)
    for candidate in candidates:
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    if begin:
        try:
            return json.JSONDecoder().raw_decode(text, begin.start())[0]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it is not JSON: {error}") from error
    raise ValueError("it is not JSON.")


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
