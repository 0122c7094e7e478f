"""Which answers to questions about documents are right."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.language.grounding import judge, read_set
from benchmarks.language.service import ObservedRun
from indexes.quality.questions import Question

GAUGE = Question(question="How wide is the gauge?", answer=("762",))
CITED = [{"n": 1, "supported": True}]
RIGHT = {"answer": "It is 762 mm wide [1].", "citations": CITED, "refused": False}


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "right"),
        ({"answer": "It is narrow [1]."}, "wrong"),
        ({"citations": [{"n": 1, "supported": False}]}, "uncited"),
        ({"refused": True}, "refused"),
    ],
)
def test_answer_is_right_with_the_words_and_a_citation_that_supports_it(
    changed: dict[str, Any], verdict: str
) -> None:
    run = ObservedRun(status="finished", output={**RIGHT, **changed})

    assert judge(GAUGE, run) == verdict


def test_run_without_an_end_has_failed() -> None:
    assert judge(GAUGE, ObservedRun(status="failed")) == "failed"


@pytest.mark.parametrize("name", ["papers", "manual", "sqlite"])
def test_set_has_questions_of_both_kinds(name: str) -> None:
    kinds = {question.kind for question in read_set(name)}

    assert kinds == {"answerable", "near", "far"}
