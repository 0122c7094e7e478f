"""Which questions lean on what was said before, and what they are then understood as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.templates.followup import depends_on_context, rewrite_followup

FIRST = {"question": "How long are books lent?", "query": "How long are books lent?"}


@pytest.mark.parametrize(
    "question",
    [
        "And on Sundays?",
        "What about children?",
        "How about videos?",
        "Why?",
        "Can it be renewed?",
        "Why does the server need it?",
        "How do I delete them again?",
        "Does that cost anything for students?",
        "Twice?",
        "Who built it?",
        "What else must I bring to the desk?",
        "So the fine is never more than the price?",
    ],
)
def test_question_with_a_pronoun_depends_on_context(question: str) -> None:
    assert depends_on_context(question)


@pytest.mark.parametrize(
    "question",
    [
        "How long may a book be borrowed?",
        "Who built the lighthouse?",
        "When a run fails, is it tried again?",
        "Is there a fine for late books?",
        "Where is the file that the server wrote kept?",
        "Can I rename an index and keep its documents?",
        "What happens to documents whose file has gone?",
        "Does every one of the readers need a card?",
    ],
)
def test_self_contained_question_does_not_depend_on_context(question: str) -> None:
    assert not depends_on_context(question)
    assert rewrite_followup(question, [FIRST]) == question


def test_a_follow_up_gets_the_content_words_of_the_question_before() -> None:
    assert rewrite_followup("And children's books?", [FIRST]) == "And children's books? long lent"
    assert (
        rewrite_followup("Can they be renewed?", [FIRST]) == "Can they be renewed? long books lent"
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Can books be renewed?", "Can books be renewed?"),
        (" How long are children's books lent? ", "How long are children's books lent?"),
        ("The documents do not say.", "Can they be renewed? long books lent"),
        ("Books can be renewed twice.", "Can they be renewed? long books lent"),
        ("What is the capital of France?", "Can they be renewed? long books lent"),
        ("books? " * 1000, "Can they be renewed? long books lent"),
        ("", "Can they be renewed? long books lent"),
    ],
)
def test_what_a_model_wrote_is_taken_where_it_is_a_question_about_the_same(
    written: str, expected: str
) -> None:
    assert rewrite_followup("Can they be renewed?", [FIRST], written) == expected


def test_a_turn_that_was_refused_is_no_context() -> None:
    refused = {"question": "Who built the tower?", "refused": True}

    assert rewrite_followup("And children's books?", [FIRST, refused]) == (
        "And children's books? long lent"
    )
    assert rewrite_followup("And when?", [refused]) == "And when?"


def test_a_follow_up_to_a_follow_up_keeps_what_it_was_about() -> None:
    second = {"question": "And videos?", "query": "And videos? long books lent"}
    said = rewrite_followup("Why?", [FIRST, second])
    assert said == "Why? videos long books lent"


def test_without_history_a_question_stays_as_it_is() -> None:
    assert rewrite_followup("And on Sundays?", []) == "And on Sundays?"
    assert rewrite_followup("And on Sundays?", [{"answer": "It is."}]) == "And on Sundays?"


@given(st.text(max_size=200), st.text(max_size=400))
def test_rewritten_question_begins_with_the_question(question: str, before: str) -> None:
    said = rewrite_followup(question, [{"question": before}])
    assert said.strip().startswith(question.strip())
