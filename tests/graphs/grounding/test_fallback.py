"""What becomes of answers that cite nothing, refuse, or say what no passage says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.grounding.attribution import SourceSearch
from graphs.grounding.citations import CheckedAnswer, Unsupported, cite_claims, question_of
from graphs.grounding.claims import markers, split_claims
from graphs.grounding.fallback import fall_back, lacks_source, repeats_question
from graphs.grounding.support import Check, GroundingCheck, Similar
from models.backends.reader.evidence import Evidence, EvidenceWindow
from models.refusal import REFUSAL
from models.text.sentences import split_sentences

HOURS = "The library opens at nine. It closes at six."
LOANS = "A loan may be renewed twice. Children pay no fines."
PASSAGES = [
    {"id": f"p{n}", "index": "docs", "document": f"d{n}", "title": "Rules", "heading": [],
     "hash": "h", "text": text, "start": 0, "end": len(text)}
    for n, text in enumerate((HOURS, LOANS), 1)
]  # fmt: skip
BAR = 0.45
QUOTE = "A loan may be renewed twice. [2] Children pay no fines. [2]"


def far(one: int, two: int) -> float:
    return 0.1


def near(one: int, two: int) -> float:
    return 0.6


def evidence(score: float) -> Evidence:
    window = EvidenceWindow(1, tuple(split_sentences(LOANS)), LOANS)
    return Evidence((window,), score, BAR)


def search(answer: str, similar: Similar | None = far) -> list[Check]:
    checks = GroundingCheck(split_claims(answer, 2), PASSAGES).checks(similar)
    return SourceSearch(checks, PASSAGES).checks(similar) if lacks_source(checks) else checks


def check(
    answer: str,
    score: float = 0.0,
    similar: Similar | None = far,
    mode: Unsupported = "mark",
    is_question: bool = True,
) -> CheckedAnswer:
    checks = search(answer, similar)
    cited = cite_claims(answer, checks, PASSAGES, mode, [])
    if not lacks_source(checks):
        return cited
    return fall_back(cited, checks, PASSAGES, evidence(score), is_question=is_question)


# Sentences that cite nothing


def test_sentence_that_cites_nothing_gets_the_citation_of_the_passage_that_says_it() -> None:
    answer = check("A loan may be renewed twice. The library opens at nine.")

    assert answer.text == "A loan may be renewed twice. [2] The library opens at nine. [1]"
    assert answer.added == ["A loan may be renewed twice.", "The library opens at nine."]
    assert [(c["n"], c["supported"]) for c in answer.citations] == [(2, True), (1, True)]


def test_added_marker_is_one_of_its_sentence_when_the_answer_is_read_again() -> None:
    text = check("- A loan may be renewed twice\n- The library opens at nine").text

    assert text == "- A loan may be renewed twice [2]\n- The library opens at nine [1]"
    assert [claim.cited for claim in split_claims(text, 2)] == [(2,), (1,)]


def test_sentence_that_cites_the_wrong_passage_gets_the_right_one_too() -> None:
    answer = check("A loan may be renewed twice [1].")

    assert answer.text == "A loan may be renewed twice [1]. [2]"
    assert [(c["n"], c["supported"]) for c in answer.citations] == [(1, False), (2, True)]


@pytest.mark.parametrize(
    "answer",
    [
        "A loan may be renewed twice [2].",
        "A loan may be renewed twice [2]. Readers are always happy people.",
        "Readers are always happy people [1]. It closes at six. [1]",
    ],
)
def test_answer_with_a_source_stays_as_it_is(answer: str) -> None:
    checked = check(answer, score=0.9)

    assert (checked.text, checked.added, checked.quoted) == (answer, [], False)


def test_sentence_with_a_number_of_another_passage_gets_no_citation() -> None:
    assert search("The library opens at six for 99 readers.", near)[0].verdict == "uncited"


def test_sentence_is_unchecked_where_vectors_are_missing() -> None:
    answer = check("Borrowed volumes come back after weeks.", score=0.9, similar=None)

    assert [each["verdict"] for each in answer.checks] == ["unchecked"]
    assert (answer.refused, answer.quoted) == (False, False)


# Refusals


@pytest.mark.parametrize("marker", ["", " [1]", " [1][2]"])
def test_refusal_cites_nothing(marker: str) -> None:
    answer = check(f"The documents do not say{marker}.")

    assert (answer.text, answer.citations, answer.refused) == (REFUSAL, [], True)


def test_refusal_stays_in_its_own_words() -> None:
    answer = check("The documents do not say who built the tower [1].")

    assert (answer.text, answer.refused) == ("The documents do not say who built the tower.", True)


@pytest.mark.parametrize("mode", ["mark", "remove"])
def test_refusal_despite_strong_evidence_becomes_its_quote(mode: Unsupported) -> None:
    answer = check(f"{REFUSAL[:-1]} [1].", score=BAR + 0.1, mode=mode)

    assert (answer.text, answer.refused, answer.score) == (QUOTE, False, BAR + 0.1)
    assert [(c["n"], c["supported"]) for c in answer.citations] == [(2, True), (2, True)]


def test_refusal_beside_evidence_that_just_passes_the_bar_stays() -> None:
    assert check(REFUSAL, score=BAR + 0.01).text == REFUSAL


def test_refusal_among_sentences_with_a_source_is_taken_out() -> None:
    answer = check(f"{REFUSAL} A loan may be renewed twice [2].", score=0.9)

    assert (answer.text, answer.refused) == ("A loan may be renewed twice [2].", False)
    assert answer.removed == [REFUSAL]


def test_refusal_beside_sentences_without_a_source_is_one() -> None:
    answer = check(f"Readers are always happy people. {REFUSAL}")

    assert (answer.text, answer.refused) == (REFUSAL, True)
    assert answer.removed == ["Readers are always happy people."]


# Sentences that no passage says


@pytest.mark.parametrize("answer", ["Readers are always happy people.", "Readers run [1].", "5"])
def test_evidence_is_quoted_beside_what_no_passage_says(answer: str) -> None:
    checked = check(answer, score=BAR)

    assert checked.text == f"{answer}\n\n{QUOTE}"
    assert checked.refused is False
    quoted = [each for each in checked.checks if each["verdict"] == "quoted"]
    assert [checked.citations[each["citations"][0]]["text"] for each in quoted] == [
        "A loan may be renewed twice.",
        "Children pay no fines.",
    ]


def test_sentences_that_are_nowhere_near_are_a_refusal_without_evidence() -> None:
    answer = check("Readers are always happy people.")

    assert (answer.text, answer.refused) == (REFUSAL, True)
    assert answer.removed == ["Readers are always happy people."]


@pytest.mark.parametrize(
    ("answer", "similar"),
    [
        ("Readers are always happy people.", near),
        ("Readers are always happy people [1].", far),
        ("The documents do not say when it was built. It is rather old [1].", far),
        ("Hello!", far),
    ],
)
def test_sentences_that_are_near_or_cite_stay_without_evidence(
    answer: str, similar: Similar
) -> None:
    assert check(answer, similar=similar).text == answer


@pytest.mark.parametrize("answer", ["[1]", "[1] [2].", "", " - "])
def test_answer_without_a_word_is_the_quote_of_strong_evidence_or_a_refusal(answer: str) -> None:
    assert check(answer, score=0.9).text == QUOTE
    assert check(answer).text == REFUSAL


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Which loan may be renewed twice?", "A loan may be renewed twice [2].", True),
        ("Which loan may be renewed twice?", "Hello! A loan may be renewed twice.", True),
        ("How often may a loan be renewed?", "A loan may be renewed twice.", False),
        ("May a loan be renewed twice?", "A loan may be renewed twice.", False),
        ("What opens?", "Yes.", False),
    ],
)
def test_answer_that_only_repeats_the_question_is_known(
    question: str, answer: str, expected: bool
) -> None:
    assert repeats_question(search(answer), question) is expected


def test_evidence_is_quoted_beside_a_supported_repetition() -> None:
    answer = "The library opens at nine. [1]"
    checks = search(answer)
    cited = cite_claims(answer, checks, PASSAGES, "mark", [])

    joined = fall_back(cited, checks, PASSAGES, evidence(0.9), is_question=True)
    alone = fall_back(cited, checks, PASSAGES, evidence(0.0), is_question=True)

    assert joined.text == f"{answer}\n\n{QUOTE}"
    assert alone == cited


def test_text_that_answers_no_question_stays() -> None:
    poem = "Over the harbour the happy gulls cry."

    assert check(poem, score=0.9, is_question=False).text == poem
    assert check(poem, score=0.0, is_question=False).text == poem


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Passages.\n\nQuestion: When does it open", True),
        ("Passages.\n\n何時に開きますか？", True),
        ("Passages.\n\nWrite a poem about them.", False),
    ],
)
def test_question_has_a_label_or_a_mark(prompt: str, expected: bool) -> None:
    assert question_of(prompt, ["Passages."]).is_question is expected


# Whatever a model answers

PIECES = st.sampled_from(
    [REFUSAL, "A loan may be renewed twice", "It closes at six", "Mr Smith has 5 cats", "[1]",
     " [2]", "[1, 2]", ". ", "\n", "- ", "? ", "```", "The documents do not say who"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=15).map("".join), st.floats(0, 1), st.floats(0, 1))
def test_refusal_has_no_marker_and_every_marker_has_a_citation(
    text: str, score: float, cosine: float
) -> None:
    answer = check(text, score, lambda one, two: cosine)

    cited = {citation["n"] for citation in answer.citations}
    found = markers(answer.text)
    assert not (answer.refused and (found or answer.citations))
    numbers = {int(number) for mark in found for number in mark[1].split(", ")}
    assert numbers <= cited or not split_claims(text, 2)
    _assert_spans_are_exact(answer.citations)


def _assert_spans_are_exact(citations: Sequence[dict[str, Any]]) -> None:
    for citation in citations:
        text = str(PASSAGES[citation["n"] - 1]["text"])
        assert text[citation["start"] : citation["end"]] == citation["text"]
