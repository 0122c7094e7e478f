"""Answers against what they cite: no answer, however written, cites what is not there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.grounding.citations import (
    CheckedAnswer,
    Unsupported,
    cite_claims,
    cite_quotes,
    remove_invented_markers,
)
from graphs.grounding.claims import markers, numbers_of, split_claims
from graphs.grounding.facts import SourceText, missing_facts
from graphs.grounding.quotes import NormalizedText
from graphs.grounding.support import Check, GroundingCheck, Similar
from models.refusal import REFUSAL

LOANS = (
    "# Loans\n\nBooks are lent for four weeks. A loan may be renewed twice. Renewing is done at "
    "the “desk”,\nor *online*.\n\n- Children pay no fines\n- Ms Brandt runs `make serve --port 80`"
)
HOURS = "The library opens at nine. It closes at six. On Sundays it is closed."
PASSAGES = [
    {"id": "loans", "index": "docs", "document": "d1", "title": "Rules", "heading": ["Loans"],
     "hash": "h1", "text": LOANS, "start": 100, "end": 100 + len(LOANS)},
    {"id": "hours", "index": "docs", "document": "d2", "title": "Hours", "heading": [],
     "hash": "h2", "text": HOURS, "start": 0, "end": len(HOURS)},
]  # fmt: skip


def compared(answer: str, near: Similar | None = None) -> list[Check]:
    comparison = GroundingCheck(split_claims(answer, 2), PASSAGES)
    return comparison.checks(near)


def given_out(answer: str, near: Similar | None, mode: Unsupported = "mark") -> CheckedAnswer:
    cleaned, invented = remove_invented_markers(answer, 2)
    return cite_claims(cleaned, compared(cleaned, near), PASSAGES, mode, invented)


def verdict(sentence: str, near: Similar | None = None) -> str:
    (check,) = compared(sentence, near)
    return check.verdict


# Which sentences there are


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("One is so. [1] Two is so. [2]", [("One is so.", (1,)), ("Two is so.", (2,))]),
        ("One is so [1]. Two is so [1, 2].", [("One is so.", (1,)), ("Two is so.", (1, 2))]),
        ("One is so.[1][2] Two is so.", [("One is so.", (1, 2)), ("Two is so.", ())]),
        ("- One is so [2]\n- Two is so", [("One is so", (2,)), ("Two is so", ())]),
        ("[1] One is so.\n[2] Two is so.", [("One is so.", (1,)), ("Two is so.", (2,))]),
        ("One is so [1-2].", [("One is so.", (1, 2))]),
        ("One is so [Passage 2].", [("One is so.", (2,))]),
        ("See [1](https://example.org) there.", [("See [1](https://example.org) there.", ())]),
    ],
)
def test_a_marker_belongs_to_the_sentence_it_stands_in_or_behind(
    answer: str, expected: list[tuple[str, tuple[int, ...]]]
) -> None:
    assert [(claim.text, claim.cited) for claim in split_claims(answer, 2)] == expected


@pytest.mark.parametrize(
    "answer", ["# Loans of books today", "Is that what you wanted?", "It is so:", REFUSAL, "Yes."]
)
def test_sentence_that_asserts_nothing_is_plain(answer: str) -> None:
    assert [check.verdict for check in compared(answer)] == ["plain"]


# What a sentence is supported by


@pytest.mark.parametrize(
    "sentence",
    [
        "A loan may be renewed twice [1].",
        "a loan may be RENEWED twice! [1]",
        "“A loan may be **renewed** twice” [1]",
        'Renewing is done at the "desk", or online [1].',
        "Renewing is done at the desk, or online. [1, 2]",
    ],
)
def test_quote_is_found_whatever_its_case_spaces_and_marks(sentence: str) -> None:
    (check,) = compared(sentence)
    assert check.verdict == "quoted"
    (place,) = check.spans
    quote = LOANS[place.start : place.end]
    assert quote in (
        "A loan may be renewed twice.",
        "Renewing is done at the “desk”,\nor *online*.",
    )


def test_quotes_need_no_embedder() -> None:
    answer = "A loan may be renewed twice [1]. The library opens at nine. [2]"
    assert GroundingCheck(split_claims(answer, 2), PASSAGES).texts == []


def test_words_of_a_sentence_in_another_order_are_nearly_a_quote() -> None:
    assert verdict("Twice a loan may be renewed [1].") == "supported"


def test_a_paraphrase_is_supported_by_what_it_is_near_to() -> None:
    sentence = "Borrowed volumes must come back within four weeks [1]."
    assert verdict(sentence, lambda one, two: 0.9) == "supported"
    assert verdict(sentence, lambda one, two: 0.3) == "unsupported"
    assert verdict(sentence, None) == "unchecked"


@pytest.mark.parametrize(
    ("sentence", "lacking"),
    [
        ("Books are lent for five weeks [1].", ["5"]),
        ("Books are lent for 28 days [1].", ["28"]),
        ("Mr Smith lends books to everybody [1].", ["Smith"]),
        ("Run `make clean` to serve the books [1].", ["clean"]),
        ("Set MAX_LOANS to lend more books [1].", ["MAX_LOANS"]),
        ("Serve the books with --host as an option [1].", ["--host"]),
    ],
)
def test_sentence_with_a_fact_that_its_source_lacks_is_unsupported(
    sentence: str, lacking: list[str]
) -> None:
    (check,) = compared(sentence, lambda one, two: 1.0)
    assert check.verdict == "unsupported"
    assert list(check.missing) == lacking


def test_a_number_is_known_however_it_is_written() -> None:
    source = SourceText.of("It costs 1,000 since 3 March 2020 and twelve hours of work.")
    assert missing_facts("On 2020-03-03 it cost 1000 for 12 hours.", source) == []
    assert missing_facts("In March 2020 it cost 1000.", source) == []
    assert missing_facts("In April it cost 1001.", source) == ["1001", "April"]


def test_denied_sentence_is_unsupported_however_similar() -> None:
    assert verdict("A loan may not be renewed twice [1].", lambda one, two: 0.5) == "unsupported"
    assert verdict("Children pay fines, all of them [1].", lambda one, two: 0.5) == "unsupported"


def test_a_sentence_is_not_supported_by_passages_it_does_not_cite() -> None:
    assert verdict("A loan may be renewed twice [2].", lambda one, two: 0.0) == "unsupported"
    assert verdict("A loan may be renewed twice.") == "uncited"


# What is given out


def test_a_citation_is_narrowed_to_the_sentences_that_support_it() -> None:
    answer = given_out("It opens at nine. [2] A loan may be renewed twice [1].", lambda a, b: 0.0)
    last = answer.citations[-1]
    assert (last["text"], last["supported"]) == ("A loan may be renewed twice.", True)
    assert LOANS[last["start"] - 100 : last["end"] - 100] == last["text"]
    assert [check["citations"] for check in answer.checks] == [[0], [1]]


MIXED = (
    "Loans are like this:\n\n- A loan may be renewed twice [1]\n- Books cost 7 coins [1]\n\n"
    "Readers are always happy people. The library opens at nine [2][9]."
)


def test_unsupported_sentences_stay_and_are_listed_with_mode_mark() -> None:
    answer = given_out(MIXED, lambda one, two: 0.0)
    assert answer.text == MIXED.replace("[9]", "")
    assert answer.unsupported == ["Books cost 7 coins", "Readers are always happy people."]
    assert (answer.invented, answer.removed) == ([9], [])
    assert [c["supported"] for c in answer.citations] == [True, False, True]


def test_removed_sentences_leave_no_empty_item() -> None:
    answer = given_out(MIXED, lambda one, two: 0.0, "remove")
    assert answer.text == (
        "Loans are like this:\n\n- A loan may be renewed twice [1]\n\n"
        "The library opens at nine [2]."
    )
    assert answer.removed == ["Books cost 7 coins", "Readers are always happy people."]
    assert answer.unsupported == []
    assert all(citation["supported"] for citation in answer.citations)


def test_an_answer_of_which_nothing_is_left_is_a_refusal() -> None:
    answer = given_out("As follows: Books cost 7 coins [1].", lambda one, two: 0.0, "remove")
    assert (answer.text, answer.citations) == (REFUSAL, [])


def test_passage_without_an_exact_span_gives_citations_without_one() -> None:
    passage = {"text": "A loan may be renewed twice.", "title": "T", "start": 3, "end": 9}
    for told in (passage, {**passage, "start": None, "end": None}):
        checks = GroundingCheck(split_claims(f"{passage['text']} [1]", 1), [told]).checks()
        answer = cite_claims(f"{passage['text']} [1]", checks, [told], "mark", [])
        assert answer.citations[0]["start"] is None
        assert answer.citations[0]["end"] is None
        assert answer.citations[0]["text"] == passage["text"]


def test_span_whose_text_is_not_in_its_passage_is_not_cited() -> None:
    right = {"n": 2, "start": 0, "end": 26, "text": "The library opens at nine."}
    wrong = [{**right, "end": 20}, {**right, "n": 3}, {**right, "start": -5, "text": "nine"}]
    answer = cite_quotes("The library opens at nine. [2]", PASSAGES, [right, *wrong])
    assert [c["text"] for c in answer.citations] == ["The library opens at nine."]


# Whatever a model answers

PIECES = st.sampled_from(
    [
        *("A loan may be renewed twice", "It closes at six", "Children pay no fines", "Mr Smith"),
        *("five weeks", "# Head", "- item", "```", "[1]", "[2]", "[1, 2]", "[3]", "[0]", "[1-9]"),
        *(
            "[passage 2]",
            "[99999]",
            ". ",
            "\n",
            " ",
            "a[1]",
            "[1](x)",
            "“",
            "e.g. ",
            "。",
            "\u202e",
        ),
    ]
)
ANSWERS = st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=200))
PASSAGE_TEXTS = st.lists(
    st.one_of(st.text(max_size=150), st.just(LOANS), st.just(HOURS)), min_size=1, max_size=3
)


def property_passages(texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": str(n), "text": text, "start": 10 * n, "end": 10 * n + len(text), "hash": "h"}
        for n, text in enumerate(texts)
    ]


@given(ANSWERS, PASSAGE_TEXTS, st.sampled_from(["mark", "remove", "keep"]), st.floats(0, 1))
def test_no_citation_points_outside_of_its_passage(
    answer: str, texts: list[str], mode: Any, likeness: float
) -> None:
    passages = property_passages(texts)
    cleaned, _ = remove_invented_markers(answer, len(passages))
    comparison = GroundingCheck(split_claims(cleaned, len(passages)), passages)
    out = cite_claims(cleaned, comparison.checks(lambda a, b: likeness), passages, mode, [])
    for citation in out.citations:
        passage = passages[citation["n"] - 1]
        begin = passage["start"]
        assert begin <= citation["start"] <= citation["end"] <= passage["end"]
        assert (
            passage["text"][citation["start"] - begin : citation["end"] - begin]
            == (citation["text"])
        )
    for check in out.checks:
        assert all(0 <= place < len(out.citations) for place in check["citations"])


@given(ANSWERS, st.integers(1, 3))
def test_every_marker_that_stays_has_a_citation(answer: str, count: int) -> None:
    passages = property_passages([LOANS] * count)
    cleaned, invented = remove_invented_markers(answer, count)
    checks = GroundingCheck(split_claims(cleaned, count), passages).checks()
    out = cite_claims(cleaned, checks, passages, "mark", invented)
    known = {citation["n"] for citation in out.citations}
    for marker in markers(out.text):
        assert set(numbers_of(marker[1])) <= known or not checks


@given(ANSWERS, st.integers(0, 3))
def test_no_marker_of_a_passage_that_was_not_given_stays(answer: str, count: int) -> None:
    cleaned, _ = remove_invented_markers(answer, count)
    for marker in markers(cleaned):
        assert all(1 <= number <= count for number in numbers_of(marker[1]))


def test_thousands_of_nested_markers_leave_no_marker() -> None:
    cleaned, invented = remove_invented_markers("[9" * 5000 + "]" * 5000, 1)
    assert markers(cleaned) == []
    assert invented == [9]


@given(st.text(max_size=200))
def test_sentences_of_an_answer_never_overlap(answer: str) -> None:
    place = 0
    for claim in split_claims(answer, 2):
        assert place <= claim.start < claim.end <= len(answer)
        place = claim.end


@given(st.text(max_size=80), st.text(min_size=1, max_size=60), st.text(max_size=80))
def test_found_span_has_the_words_of_the_quote(before: str, quote: str, after: str) -> None:
    text = f"{before} {quote} {after}"
    if found := NormalizedText.of(text).find(quote):
        wanted = NormalizedText.of(quote).text.strip(" .,;:!?…-")
        assert NormalizedText.of(text[found[0] : found[1]]).text.strip(" .,;:!?…-") == wanted
