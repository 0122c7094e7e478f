"""Questions: read from files, made of passages, scored; thresholds chosen by them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Invalid
from indexes.quality.calibrator import leave_out
from indexes.quality.evaluation import Outcome, build_report, measure_outcomes
from indexes.quality.generated import FAR_QUESTIONS, generate_question
from indexes.quality.questions import Question, read_questions
from indexes.quality.thresholds import ScoredQuestion, choose_threshold, measure_threshold
from indexes.quality.thresholds import measure_curve as threshold_curve
from indexes.records import Passage

# Files


def test_json_lines_and_yaml_say_the_same() -> None:
    entries = [
        {"question": "How long?", "answer": "four weeks", "source": ["a.md", "b.md"]},
        {"question": "Who is the mayor?", "answerable": False},
        {"question": "What is a quasar?", "kind": "far"},
    ]
    lines = "\n\n".join(json.dumps(entry) for entry in entries)
    read = read_questions(lines, "q.jsonl")
    assert [each.kind for each in read] == ["answerable", "unanswerable", "far"]
    assert [each.answerable for each in read] == [True, False, False]
    assert read[0].answer == ("four weeks",)
    assert read_questions(json.dumps(entries), "q.yaml") == read


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ('{"question": "A?"}\nno', "q.jsonl", "q.jsonl, line 2: it is no JSON"),
        ('{"question": "A?"}\n{"qestion": "B?"}', "q.jsonl", "line 2: question"),
        ('{"question": "A?", "anser": "B"}', "q.jsonl", r"Did you mean 'answer'\?$"),
        ('{"question": "A?", "kind": "near", "answerable": true}', "q.jsonl", "contradict"),
        ("- question: A?\n- just text", "q.yml", "question 2"),
        ("question: A?", "q.yml", "must be a list"),
        ("[", "q.yaml", "not YAML"),
        ("", "q.jsonl", "0 questions"),
        ("7", "q.jsonl", "must be an object"),
    ],
)
def test_invalid_question_file_is_refused_by_line_or_number(
    text: str, name: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        read_questions(text, name)
    assert caught.value.code == "invalid_questions"


def test_answer_matches_without_case_and_quotes_and_source_by_its_end() -> None:
    question = Question(question="Q?", answer=("Four  “weeks”",), source=("rules.md",))
    assert question.answered_by("It is *four*\nweeks long.")
    assert not question.answered_by("It is five weeks long.")
    assert question.found_in("library/rules.md")
    assert not question.found_in("other-rules.md")


# Questions of one's own


def passage(text: str, *heading: str) -> Passage:
    return Passage("d.0", "docs", "d", "T", "t.md", list(heading), text, 0, len(text), None, "h", 0)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("A stash is a place for local changes, kept aside.", "What is stash?"),
        ("To renew a loan online, open the page of your account.", "How do I renew a loan online?"),
        ("For each catalog there is one file. A view is a query that has a name of its own.",
         "What is view?"),
        ("If the disk is full, runs stop where they are and wait.",
         "What happens when the disk is full?"),
        ("With a card you can borrow six books at once, by showing it.",
         "How can I borrow six books at once?"),
    ],
)  # fmt: skip
def test_sentences_become_questions(text: str, question: str) -> None:
    made = generate_question(passage(text))
    assert made is not None
    assert made.question == question
    assert made.answer in text


def test_without_such_a_sentence_the_heading_is_asked_about() -> None:
    text = "Readers look at the clock above the main door every day."
    made = generate_question(passage(text, "Rules", "5.2. Opening hours:"))
    assert made is not None
    assert made.question == "What is there to know about opening hours?"
    assert generate_question(passage(text, "Rules")) is None
    assert generate_question(passage("Too short.", "Opening hours")) is None


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=2))
def test_any_passage_makes_a_question_or_none(text: str, heading: list[str]) -> None:
    made = generate_question(passage(text, *heading))
    assert made is None or made.question.endswith("?")


def test_documents_that_could_answer_are_left_out_but_half_stay() -> None:
    found = [
        replace(passage("Text.", f"Part {n % 3}"), id=f"d{n}.0", document=f"d{n}") for n in range(8)
    ]
    left = leave_out(found, found[5], by_section=False)
    assert [each.document for each in left] == ["d4", "d6", "d7"]
    in_one = [replace(each, document="d") for each in found]
    left = leave_out(in_one, in_one[1], by_section=True)
    assert {each.heading[0] for each in left} == {"Part 2"}


def test_questions_that_are_far_are_many_and_different() -> None:
    assert len(set(FAR_QUESTIONS)) == len(FAR_QUESTIONS) >= 20


# Thresholds

SCORES = st.floats(0, 1).map(lambda score: round(score, 3))
SCORED = st.tuples(
    st.lists(SCORES, min_size=5, max_size=30),
    st.lists(SCORES, min_size=5, max_size=30),
    st.lists(SCORES, max_size=10),
)


def scored(answerable: list[float], near: list[float], far: list[float]) -> list[ScoredQuestion]:
    return [
        *(ScoredQuestion(score, "answerable") for score in answerable),
        *(ScoredQuestion(score, "near") for score in near),
        *(ScoredQuestion(score, "far") for score in far),
    ]


@given(SCORED, st.floats(0, 1))
def test_threshold_refuses_the_requested_share_of_each_kind_and_no_more(
    scores: tuple[list[float], list[float], list[float]], refuse: float
) -> None:
    answerable, near, far = scores
    chosen = choose_threshold(scored(*scores), refuse)
    exact = chosen.threshold + 5e-5  # it is told rounded
    for kind in filter(None, (near, far)):
        assert sum(score < exact for score in kind) >= refuse * len(kind) - 1e-6
    # Just below the highest score that must be refused, some kind would not be refused enough.
    below = max(score for score in [*near, *far] if score < exact) - 1e-6
    assert refuse == 0 or any(
        sum(score < below for score in kind) < max(1, refuse * len(kind))
        for kind in (near, far)
        if kind
    )
    assert chosen.answered == pytest.approx(
        sum(score >= exact for score in answerable) / len(answerable), abs=1e-3
    )


def test_threshold_lies_midway_between_separated_scores() -> None:
    chosen = choose_threshold(scored([0.7] * 5, [0.3] * 5, []))
    assert (chosen.threshold, chosen.answered, chosen.refused) == (0.5, 1.0, 1.0)


@pytest.mark.parametrize("counts", [(4, 9), (9, 4)])
def test_too_few_questions_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(Invalid, match="and there are 4") as caught:
        choose_threshold(scored([0.5] * counts[0], [0.1] * counts[1], []))
    assert caught.value.code == "too_few_questions"


def test_a_curve_goes_from_answering_all_to_refusing_all() -> None:
    every = scored([0.4, 0.6, 0.8], [0.2, 0.5], [0.1])
    first, *_, last = threshold_curve(every)
    assert (first.answered, first.refused) == (1.0, 0.0)
    assert (last.answered, last.refused) == (0.0, 1.0)
    assert measure_threshold(every, 0.55).answered == pytest.approx(2 / 3, abs=1e-3)


# Reports


def outcome(kind: str, score: float, right: bool | None = None, **ranks: int | None) -> Outcome:
    return Outcome("Q?", kind, ranks.get("rank"), ranks.get("holds"), "", score, right)


def test_report_counts_right_wrong_and_refused_answers() -> None:
    known = Question(question="Q?", answer=("a",), source=("s",))
    unknown = Question(question="Q?", answerable=False, kind="near")
    questions = [known] * 4 + [unknown] * 2
    outcomes = [
        outcome("answerable", 0.9, True, rank=1, holds=1),
        outcome("answerable", 0.8, False, rank=2),
        outcome("answerable", 0.1, True, rank=4, holds=4),
        outcome("answerable", 0.7, None),
        outcome("near", 0.2),
        outcome("near", 0.6),
    ]
    found = build_report("docs", 10, questions, outcomes, 0.5)
    assert found.reader == {"right": 1, "wrong": 1, "refused": 1, "unjudged": 1}
    assert found.refused == {"near": 0.5}
    assert found.recall == 0.75
    assert found.mrr == pytest.approx((1 + 0.5 + 0.25) / 4, abs=1e-4)
    assert found.answer_found == 0.5
    first, *_, last = measure_outcomes(outcomes)
    assert (first.refused, first.refused_near, first.refused_far) == (0, 0, None)
    assert (last.right, last.wrong, last.refused, last.refused_near) == (0, 0, 1, 1)
    assert json.dumps(found.as_dict())
