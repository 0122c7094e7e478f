"""Tokens estimated, and which end of a conversation is shown."""

from __future__ import annotations

from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from models.text.tokens import PICTURE_TOKENS, estimate_message, estimate_tokens
from models.text.turns import choose_first

# Counted by the tokenizers of Qwen 2.5 and Gemma 3.
COUNTED = [
    (
        "A run is durable before it is acknowledged. After a crash the next start continues every "
        "unfinished run from its last checkpoint.",
        24,
    ),
    ("def add(first, second):\n    return first + second\n", 12),
    ("Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Pflicht.", 25),
    ("人人生而自由,在尊严和权利上一律平等。", 13),
    ("12345 67890", 11),
]


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
def test_an_estimate_is_rarely_too_low_and_never_far_off(text: str, tokens: int) -> None:
    assert 0.85 * tokens <= estimate_tokens(text) <= 2 * tokens


@given(st.text(), st.text())
def test_more_text_takes_more_tokens(first: str, second: str) -> None:
    assert estimate_tokens(first + second) >= estimate_tokens(first)


def test_a_message_counts_its_pictures_and_its_calls() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    seen = HumanMessage([{"type": "text", "text": "What is this?"}, picture])
    called = AIMessage("", tool_calls=[{"name": "web", "args": {"url": "x" * 700}, "id": "1"}])

    assert estimate_message(seen) > PICTURE_TOKENS
    assert estimate_message(called) > 200


def test_a_conversation_that_fits_is_shown_whole() -> None:
    assert choose_first([5] * 4, 4, 20) == 0


def test_the_first_part_shown_stays_while_the_conversation_grows() -> None:
    firsts = [choose_first([100] * n, n, 4000) for n in range(40, 140)]

    assert firsts == sorted(firsts)
    assert len(set(firsts)) < 16
    assert all(27 <= n - first <= 40 for n, first in enumerate(firsts, 40))


def test_no_more_counts_are_read_than_fit() -> None:
    read = count(1)

    choose_first((next(read) and 10 for _ in range(1000)), 1000, 100)

    assert next(read) == 12


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(0, 5000))
def test_what_is_shown_fits(counts: list[int], room: int) -> None:
    first = choose_first(reversed(counts), len(counts), room)

    assert sum(islice(counts, first, None)) <= room
    assert first < len(counts) or not counts or counts[-1] > room
