"""From what a person answers to what the waiting steps are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from config.errors import Invalid
from runs.record import Run


def match_answers(run: Run, answer: Any) -> dict[str, Any]:
    """The answer to each of a waiting run's questions, by the question's id.

    With one open question `answer` is its answer; with several it maps their ids to answers.
    Raises `Invalid` naming the field where an answer does not fit its question's schema.
    """
    asked = {interrupt["id"]: interrupt["value"] for interrupt in run.interrupts}
    if isinstance(answer, Mapping) and answer and set(answer) <= set(asked):
        answers = dict(answer)
    elif len(asked) == 1:
        answers = {next(iter(asked)): answer}
    else:
        raise Invalid(
            f"Run {run.run_id} asks {len(asked)} questions: map each question's id to its answer.",
            details={"field": "answer", "interrupts": list(asked)},
        )
    for id_, given in answers.items():
        _check(asked[id_], given)
    return answers


def _check(question: Any, given: Any) -> None:
    schema = question.get("schema") if isinstance(question, Mapping) else None
    if not isinstance(schema, Mapping):
        return
    error = best_match(Draft202012Validator(schema).iter_errors(given))
    if error is not None:
        field = ".".join(["answer", *map(str, error.absolute_path)])
        raise Invalid(
            f"{field}: {error.message}",
            code="invalid_answer",
            details={"field": field, "schema": dict(schema)},
        )
