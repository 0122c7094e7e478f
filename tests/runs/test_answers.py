"""Answers find their questions, and fit them."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Conflict, Invalid
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


async def test_the_only_question_takes_the_answer_as_it_is() -> None:
    assert await match_answers(waiting(a="How many?"), 3) == {"a": 3}


async def test_several_questions_take_a_map_by_their_ids() -> None:
    assert await match_answers(waiting(a="?", b="?"), {"a": 1, "b": 2}) == {"a": 1, "b": 2}


async def test_some_of_several_questions_may_be_answered() -> None:
    assert await match_answers(waiting(a="?", b="?"), {"b": 2}) == {"b": 2}


@pytest.mark.parametrize("open_", [["b" * 32], ["b" * 32, "c" * 32]])
async def test_an_answer_to_a_question_that_is_open_no_more_is_refused(open_: list[str]) -> None:
    """It was sent again, because its acknowledgement was lost: the next question is another."""
    run = waiting(**dict.fromkeys(open_, "?"))

    for answer in ({"a" * 32: "yes"}, {"a" * 32: "yes", open_[0]: "no"}):
        with pytest.raises(Conflict) as refused:
            await match_answers(run, answer)
        assert refused.value.code == "run_not_waiting"


async def test_one_answer_for_several_questions_is_refused() -> None:
    with pytest.raises(Invalid, match="asks 2 questions"):
        await match_answers(waiting(a="?", b="?"), "yes")


async def test_an_answer_that_does_not_fit_is_refused_with_its_field() -> None:
    with pytest.raises(Invalid) as caught:
        await match_answers(waiting(a=APPROVAL), {"approved": "maybe"})
    assert caught.value.code == "invalid_answer"
    assert caught.value.details["field"] == "answer.approved"
    assert await match_answers(waiting(a=APPROVAL), {"approved": True}) == {"a": {"approved": True}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$dynamicRef": "http://127.0.0.1:9/schema"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"properties": {"a": {"$ref": "file:///etc/hostname"}}, "required": ["a"]},
    ],
)
async def test_a_schema_of_an_older_version_fetches_nothing(schema: dict[str, Any]) -> None:
    """Files are refused for such references today; runs that wait may be older."""
    question = {"message": "?", "schema": schema}

    with pytest.raises(Invalid, match=r"schema cannot be used|required") as caught:
        await match_answers(waiting(a=question), {})

    assert caught.value.code == "invalid_answer"


@pytest.mark.parametrize("value", [2**63, float("nan"), "\ud800"])
async def test_answer_that_no_checkpoint_holds_is_refused_with_its_field(value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        await match_answers(waiting(a="?"), {"rows": [value]})

    assert caught.value.code == "invalid_answer"
    assert caught.value.details["field"] == "answer.rows.0"
