"""JSON that fits a schema: out of a model's text, or as a person's answer, with what is wrong.

What a schema may hold, and that checking fetches nothing, is `tools.json_schema`'s.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from config.json_values import find_unstorable
from tools.json_schema.schema import JsonSchema

# No two parts of it can match the same characters: the text may be hostile.
FENCE = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class OutputSchema(JsonSchema):
    """A JSON schema that answers must fit."""

    async def parse(self, text: str) -> Any:
        """Return the value that a text holds. Raises `ValueError` with words for the model."""
        value = _parse_json(text)
        if flaw := find_unstorable(value):
            raise ValueError(f"{flaw.path or 'the value'}: {flaw.reason}")
        if error := await self.describe_error(value):
            raise ValueError(error)
        return value

    async def describe_error(self, value: Any) -> str | None:
        """Return what of a value does not fit, with its place; None where all of it does."""
        error = await self.find_error(value)
        if error is None:
            return None
        path = ".".join(str(part) for part in error.absolute_path)
        return f"{path or 'the value'}: {error.message}"

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
