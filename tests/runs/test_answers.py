"""Answers find their questions, and fit them."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Invalid
from runs.answers import match_answers
from runs.record import Run

APPROVAL = {
    "message": "Is it good?",
    "schema": {
        "type": "object",
        "properties": {"approved": {"type": "boolean"}},
        "required": ["approved"],
    },
}


def waiting(**questions: Any) -> Run:
    return Run(
        run_id="run",
        tenant="default",
        agent="review",
        version="1",
        thread_id="run",
        own_thread=True,
        status="waiting",
        attempt=1,
        input={},
        created_at=0.0,
        interrupts=[{"id": id_, "value": value} for id_, value in questions.items()],
    )


def test_the_only_question_takes_the_answer_as_it_is() -> None:
    assert match_answers(waiting(a="How many?"), 3) == {"a": 3}


def test_several_questions_take_a_map_by_their_ids() -> None:
    assert match_answers(waiting(a="?", b="?"), {"a": 1, "b": 2}) == {"a": 1, "b": 2}


def test_some_of_several_questions_may_be_answered() -> None:
    assert match_answers(waiting(a="?", b="?"), {"b": 2}) == {"b": 2}


def test_one_answer_for_several_questions_is_refused() -> None:
    with pytest.raises(Invalid, match="asks 2 questions"):
        match_answers(waiting(a="?", b="?"), "yes")


def test_an_answer_that_does_not_fit_is_refused_with_its_field() -> None:
    with pytest.raises(Invalid) as caught:
        match_answers(waiting(a=APPROVAL), {"approved": "maybe"})
    assert caught.value.code == "invalid_answer"
    assert caught.value.details["field"] == "answer.approved"
    assert match_answers(waiting(a=APPROVAL), {"approved": True}) == {"a": {"approved": True}}
