"""Reads questions with what is known of their answers from a person's file or request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.errors import Invalid, nearest
from config.validation_words import word_error
from config.yaml_reader import drop_all_extensions, read_yaml

Kind = Literal["answerable", "near", "far", "unanswerable"]
MAX_QUESTIONS = 2000
"""Each takes a search and an answer."""
MAX_FILE_BYTES = 8 * 2**20
MAX_FILE_VALUES = 50 * MAX_QUESTIONS


class Question(BaseModel):
    """A question to measure an index with.

    `answer` are texts of which one must stand in a right answer, `source` the documents (by their
    source) of which one must be found. An unanswerable one may be `near` to the subject or `far`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=2000)
    answer: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    answerable: bool = True
    kind: Kind = "answerable"

    @field_validator("answer", "source", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value or ()

    @model_validator(mode="before")
    @classmethod
    def _consistent(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            raise ValueError("must be an object with `question`")
        kind = fields.get("kind")
        answerable = fields.get("answerable", kind in (None, "answerable"))
        if kind is not None and answerable != (kind == "answerable"):
            raise ValueError("`answerable` and `kind` contradict each other")
        return {
            **fields,
            "answerable": answerable,
            "kind": kind or ("answerable" if answerable else "unanswerable"),
        }

    @property
    def normalized_answers(self) -> list[str]:
        """The answers as they are looked for."""
        return [normalize(text) for text in self.answer]

    def answered_by(self, text: str) -> bool:
        """Tell whether one of the answers stands in a text."""
        normalized = normalize(text)
        return any(answer in normalized for answer in self.normalized_answers)

    def found_in(self, source: str) -> bool:
        """Tell whether this is one of the documents meant; a source may be given by its end."""
        return any(source == each or source.endswith(f"/{each}") for each in self.source)


def normalize(text: str) -> str:
    """Reduce a text to what matters to whether it holds an answer: case, quotes, space go."""
    spaced = "".join(" " if letter in "*_`\"'“”‘’«»" else letter for letter in text.casefold())
    return " ".join(spaced.split())


def read_questions(text: str, filename: str) -> list[Question]:
    """Read the questions of a file: JSON lines, or a list in YAML or JSON by the end of its name.

    Raises `Invalid` (`invalid_questions`) naming the file and the line or the number.
    """
    suffix = PurePath(filename).suffix.lower()
    entries = (
        _parse_yaml(text, filename)
        if suffix in (".yaml", ".yml", ".json")
        else _parse_lines(text, filename)
    )
    questions = [_check_question(entry, position, filename) for position, entry in entries]
    if not 0 < len(questions) <= MAX_QUESTIONS:
        raise _invalid_questions(
            filename, "", f"it holds {len(questions)} questions, of 1 to {MAX_QUESTIONS}"
        )
    return questions


def check_questions(entries: Iterable[Any]) -> list[Question]:
    """Check the questions of a request. Raises `Invalid` (`invalid_questions`)."""
    return [
        _check_question(entry, f"question {number}", "")
        for number, entry in enumerate(entries, start=1)
    ]


def _parse_yaml(text: str, filename: str) -> list[tuple[str, Any]]:
    document = read_yaml(text, max_bytes=MAX_FILE_BYTES, max_values=MAX_FILE_VALUES)
    if document.first_fault:
        line, _, message = document.first_fault
        raise _invalid_questions(filename, f"line {line}" if line else "", message.rstrip("."))
    entries = drop_all_extensions(document.value)
    if not isinstance(entries, list):
        raise _invalid_questions(filename, "", "it must be a list of questions")
    return [
        (f"question {number + 1}, line {document.line((number,))}", entry)
        for number, entry in enumerate(entries)
    ]


def _parse_lines(text: str, filename: str) -> list[tuple[str, Any]]:
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                entries.append((f"line {number}", json.loads(line)))
            except ValueError as error:
                raise _invalid_questions(
                    filename, f"line {number}", f"it is no JSON: {error}"
                ) from error
    return entries


def _check_question(entry: Any, position: str, filename: str) -> Question:
    try:
        return Question.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = word_error(first)
        if first["type"] == "extra_forbidden":
            message = f"there is no such field. {nearest(field, list(Question.model_fields))}"
        why = f"{field}: {message}".removeprefix(": ").rstrip(".")
        raise _invalid_questions(filename, position, why) from error


def _invalid_questions(filename: str, position: str, why: str) -> Invalid:
    where = ", ".join(part for part in (filename, position) if part)
    return Invalid(
        f"{where or 'The questions'}: {why}{'' if why.endswith('?') else '.'}",
        code="invalid_questions",
        details={"field": "questions", "file": filename, "place": position},
    )
