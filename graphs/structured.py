"""JSON out of a model's text, checked against a schema, with words for what is wrong."""

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
        """Why this is no usable schema. References lead only within it: nothing is fetched."""
        try:
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            return f"this is no JSON schema: {error.message}"
        outside = [ref for ref in _references(self.schema) if not ref.startswith("#")]
        return f"the reference '{outside[0]}' leads out of the schema." if outside else None

    def parse(self, text: str) -> Any:
        """The value that a text holds. Raises `ValueError` that tells a model what to mend."""
        value = _json(text)
        if error := self.error(value):
            raise ValueError(error)
        return value

    def error(self, value: Any) -> str | None:
        """What does not fit, with its place."""
        validator = Draft202012Validator(self.schema, registry=Registry())
        try:
            found = best_match(validator.iter_errors(value))
        except Unresolvable as error:
            return f"the schema cannot be used: {error}"
        if found is None:
            return None
        place = ".".join(str(part) for part in found.absolute_path)
        return f"{place or 'the value'}: {found.message}"

    def titled(self) -> dict[str, Any]:
        """The schema as model libraries want it: with a title."""
        return {"title": "answer", **self.schema}

    def instruction(self) -> str:
        text = json.dumps(self.schema, ensure_ascii=False)
        return f"Answer with JSON only, that fits this JSON schema:\n{text}"


def _json(text: str) -> Any:
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
