"""Matches what a person answered to the questions of a waiting run, and checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.errors import Conflict, Invalid
from config.json_values import find_unstorable
from runs.record import Run
from tools.json_schema.schema import JsonSchema

_QUESTION_ID = re.compile(r"[0-9a-f]{32}")
"""The form of LangGraph's ids of questions."""


async def match_answers(run: Run, answer: Any) -> dict[str, Any]:
    """Return the answers to a waiting run's questions, by their ids; some may be left open.

    With one open question `answer` is its answer; with several it maps their ids to answers.
    Raises `Invalid` (`invalid_answer`) naming the field that does not fit its question's schema,
    `Conflict` (`run_not_waiting`) for a question that is not open any more.
    """
    questions = {interrupt["id"]: interrupt["value"] for interrupt in run.interrupts}
    if isinstance(answer, Mapping) and answer and set(answer) <= set(questions):
        answers = dict(answer)
    elif isinstance(answer, Mapping) and any(map(_QUESTION_ID.fullmatch, answer)):
        # Sent again, or too late: never to be taken for the answer to what is asked now.
        raise Conflict(
            f"Run {run.run_id} does not ask all these questions any more.",
            code="run_not_waiting",
            details={"field": "answer", "interrupts": list(questions)},
        )
    elif len(questions) == 1:
        answers = {next(iter(questions)): answer}
    else:
        raise Invalid(
            f"Run {run.run_id} asks {len(questions)} questions: map each question's id to its "
            "answer.",
            details={"field": "answer", "interrupts": list(questions)},
        )
    if flaw := find_unstorable(answer):
        field = flaw.within("answer")
        raise Invalid(f"{field}: {flaw.reason}", code="invalid_answer", details={"field": field})
    for id_, value in answers.items():
        await _check(questions[id_], value)
    return answers


async def _check(question: Any, value: Any) -> None:
    """Check an answer against the question's JSON schema, where it has one."""
    schema = question.get("schema") if isinstance(question, Mapping) else None
    if not isinstance(schema, Mapping):
        return
    error = await JsonSchema(schema).find_error(value)
    if error is not None:
        field = ".".join(["answer", *map(str, error.absolute_path)])
        raise Invalid(
            f"{field}: {error.message}",
            code="invalid_answer",
            details={"field": field, "schema": dict(schema)},
        )
