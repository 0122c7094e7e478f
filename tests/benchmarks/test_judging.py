"""Which outcomes of a turn are sound, weak because of the model, or wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from benchmarks.language.agents import read_turns
from benchmarks.language.judging import Judgement, Outcome, Turn, judge
from benchmarks.language.service import ObservedRun
from benchmarks.language.turns import find_files
from graphs.catalog import SHIPPED

QUESTION = Turn("ask", 1, {}, words=("762|three quarters",), cites=True)
ENDLESS = " ".join(f"There is passage {number}." for number in range(20))
SOUND = {"answer": "It is 762 mm wide [1].", "citations": [{"n": 1}], "refused": False}


def finished(output: dict[str, Any], *warnings: str) -> ObservedRun:
    run = ObservedRun(status="finished", output=output)
    run.events += [{"type": "warning", "data": {"code": code}} for code in warnings]
    return run


def judged(output: dict[str, Any], *warnings: str, turn: Turn = QUESTION) -> Judgement:
    return judge(turn, Outcome(finished(output, *warnings), "small"))


def test_right_and_cited_answer_is_sound() -> None:
    assert judged(SOUND) == Judgement("sound", [])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"answer": "It is narrow [1]."}, "without 762|three quarters"),
        ({"answer": "It is 762 mm wide.", "citations": []}, "cites nothing"),
        ({"answer": "Not 762.", "refused": True}, "refuses"),
        ({"answer": f"{ENDLESS} 762 mm and"}, "ends within a sentence"),
    ],
)
def test_right_form_with_poor_content_is_weak(changed: dict[str, Any], reason: str) -> None:
    assert judged({**SOUND, **changed}) == Judgement("weak", [reason])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"name": "search", "arguments": {"query": "gauge"}}', "in the answer"),
        ('```json\n{{"name": "search", "arguments": {}}}\n```', "in the answer"),
        ("<think>Let me see.</think> 762", "in the answer"),
        ("762<|im_end|>", "in the answer"),
        ("762 <<end 441c3108ce932f79>>", "in the answer"),
        ("762 [1] [3]", "lost citations: [3]"),
        ("  ", "an empty answer"),
        ("762. " + "And so it goes on. " * 30, "round in circles"),
    ],
)
def test_marks_of_what_should_not_be_there_are_wrong(answer: str, reason: str) -> None:
    found = judged({**SOUND, "answer": answer})

    assert found.verdict == "wrong"
    assert reason in "; ".join(found.reasons)


def test_circles_that_a_warning_tells_of_are_weak_at_most() -> None:
    short, long = ("762 [1]. " + "And so it goes on. " * rounds for rounds in (8, 30))

    assert judged({**SOUND, "answer": short}) == Judgement("weak", ["repeats itself"])
    assert judged({**SOUND, "answer": long}, "response_repeating").verdict == "weak"


def test_language_model_that_is_passed_over_is_a_fault() -> None:
    assert judged(SOUND, "needs_language_model").verdict == "wrong"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("response_empty", "weak"), ("too_many_turns", "weak"), ("internal_error", "wrong")],
)
def test_error_is_wrong_unless_it_says_what_the_model_could_not(code: str, verdict: str) -> None:
    run = ObservedRun(status="failed", error={"code": code, "message": "It failed."})

    assert judge(QUESTION, Outcome(run, "small")).verdict == verdict


def test_run_without_an_end_is_wrong() -> None:
    assert judge(QUESTION, Outcome(ObservedRun(), "small")).verdict == "wrong"


def test_answer_to_what_the_documents_do_not_say_is_weak() -> None:
    turn = Turn("ask", 9, {}, refuses=True)

    assert judged(SOUND, turn=turn).reasons == ["answers what the documents do not say"]


def test_story_of_a_book_is_read_from_its_steps() -> None:
    run = finished({"html": {}, "scenes": 2})
    run.events.append({"type": "step.finished", "data": {"update": {"story": "A fox swam."}}})
    turn = Turn("storybook", 2, {}, words=("fox",), count=2)

    assert judge(turn, Outcome(run, "small")).verdict == "sound"


def test_files_are_found_however_deep_they_are() -> None:
    file = {"url": "/artifacts/1", "media_type": "image/png"}

    assert list(find_files({"pictures": [{"image": file}], "answer": "text"})) == [file]


def test_set_has_ten_turns_for_each_shipped_agent() -> None:
    counts = Counter(turn.agent for turn in read_turns())

    assert counts == dict.fromkeys((file.stem for file in SHIPPED.glob("*.yaml")), 10)
