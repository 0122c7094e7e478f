"""JSON that fits a schema: out of a model's text, or as a person's answer, with what is wrong.

Owns which of the values in a text is the answer, and the words about one that does not fit. How
values stand in texts is `models.output.values`', what a value may have meant `schema_readings`';
what a schema may hold, and that checking fetches nothing, is `tools.json_schema`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from jsonschema import ValidationError

from config.json_values import find_unstorable
from graphs.chat.schema_readings import list_readings, repeats_schema
from graphs.chat.schema_skeleton import build_skeleton, list_placeholders
from models.output.values import find_values
from tools.json_schema.schema import JsonSchema

# No two parts of it can match the same characters: the text may be hostile.
FENCE = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.DOTALL)
BRACKET = re.compile(r"[\[{]")
MAX_CANDIDATES = 50
"""Values of a text that are looked at: models write few beside the answer."""
MAX_ERROR_CHARS = 300
REPEATS = "it repeats the schema, or words of it, in the place of values."
UNFILLED = "it leaves the words in <> where values belong."


@dataclass(frozen=True)
class OutputSchema(JsonSchema):
    """A JSON schema that answers must fit."""

    async def parse(self, text: str, *, cut: bool = False) -> Any:
        """Return the value of a text that fits, the first of several.

        What a `cut` text leaves open is no value. Raises `ValueError` with words for the model.
        """
        problems = []
        for value in islice(_list_values(text, cut=cut), MAX_CANDIDATES):
            reading_problems = []
            for reading in list_readings(value, self.schema):
                reading_problems.append(await self._find_problem(reading))
                if reading_problems[-1] is None:
                    return reading
                if reading_problems[-1] == REPEATS:
                    break
            problems.append((len(str(value)), str(reading_problems[0])))
        if not problems:
            raise ValueError("it is not JSON.")
        # What else stands in a text, such as the number of a list, is shorter than the answer.
        raise ValueError(max(problems, key=lambda each: each[0])[1])

    async def describe_error(self, value: Any) -> str | None:
        """Return what of a value does not fit, with its places; None where all of it does."""
        errors = [_describe(each) for each in await self.find_errors(value)]
        return "\n".join(dict.fromkeys(errors)) or None

    def instruction(self) -> str:
        """Write the sentences that ask a model for this JSON."""
        request = f"Answer with JSON only, that fits this JSON schema:\n{_write(self.schema)}"
        return f"{request}\n\n{self._form}" if self._form else request

    def repair(self, reason: str) -> str:
        """Write what a model is told of an answer that does not fit."""
        request = f"That does not fit: {reason}\nAnswer again, with the JSON only."
        return f"{request} {self._form}" if self._form and reason.startswith(REPEATS) else request

    @cached_property
    def _skeleton(self) -> Any:
        return build_skeleton(self.schema)

    @cached_property
    def _form(self) -> str:
        if not isinstance(self._skeleton, dict | list) or not self._skeleton:
            return ""  # a single value has no form
        return (
            "The answer has this form, with values in place of the words in <>:\n"
            f"{_write(self._skeleton)}"
        )

    async def _find_problem(self, value: Any) -> str | None:
        if flaw := find_unstorable(value):
            return f"{flaw.path or 'the value'}: {flaw.reason}"
        if repeats_schema(value, self.schema):
            return REPEATS
        if set(list_placeholders(value)) & set(list_placeholders(self._skeleton)):
            return UNFILLED
        return await self.describe_error(value)


def _describe(error: ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path)
    return f"{path or 'the value'}: {error.message[:MAX_ERROR_CHARS]}"


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list_values(text: str, *, cut: bool) -> Iterator[Any]:
    """Yield the values of a text: the whole, fenced blocks, then those in brackets.

    Values that are not quite JSON come last.
    """
    for part in (text, *FENCE.findall(text)):
        try:
            yield json.loads(part)
        except (ValueError, RecursionError):
            continue
    yield from _list_exact(text)
    # What cannot be read is None, and a bracket that was opened and left alone is empty.
    yield from (each.value for each in find_values(text, cut=cut) if each.value)


def _list_exact(text: str) -> Iterator[Any]:
    """Yield the outermost values in brackets that are JSON as they stand."""
    decoder, end = json.JSONDecoder(), 0
    for _ in range(MAX_CANDIDATES):
        if not (begin := BRACKET.search(text, end)):
            return
        try:
            value, end = decoder.raw_decode(text, begin.start())
        except (ValueError, RecursionError):
            end = begin.end()
        else:
            yield value
