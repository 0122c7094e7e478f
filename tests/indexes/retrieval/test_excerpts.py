"""Excerpts: where they are cut, how they are stored, and how near they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.retrieval.excerpts import (
    MIN_EXCERPT_WORDS,
    find_best_spans,
    find_excerpts,
    pack_excerpts,
    score_best_excerpts,
)

LONG = "This sentence has a good deal more than twelve words, so that it stands alone."
TEXTS = st.text(alphabet=st.sampled_from("ab c.\n#-|!?é漢 "), max_size=300)


def test_a_long_sentence_is_an_excerpt_and_short_ones_join() -> None:
    text = f"Short one. And another. {LONG} The end."
    cut = [text[start:end] for start, end in find_excerpts(text)]
    assert cut == [f"Short one. And another. {LONG}", "The end."]


def test_headings_belong_to_no_excerpt_and_part_sections() -> None:
    text = f"# Title\n\nFew words.\n\n## Other\n\n{LONG}"
    assert [text[start:end] for start, end in find_excerpts(text)] == ["Few words.", LONG]


@given(TEXTS)
def test_excerpts_are_in_order_trimmed_and_within_the_text(text: str) -> None:
    reached = 0
    for start, end in find_excerpts(text):
        assert reached <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        reached = end


def unit(*numbers: float) -> bytes:
    return np.round(np.array(numbers) * 127).astype(np.int8).tobytes()


def test_best_excerpt_and_best_spans_are_found() -> None:
    spans = [(0, 10), (11, 20), (21, 30), (31, 40)]
    stored = pack_excerpts(spans, [1.0] * 4, unit(1, 0) + unit(0, 1) + unit(0, 1) + unit(1, 0))
    question = np.array([1, 0], np.float32)
    assert score_best_excerpts(question, [stored]) == [pytest.approx(1)]
    found = find_best_spans(question, stored)
    assert [(each.start, each.end) for each in found] == [(0, 20), (21, 40)]
    assert found[0].score == pytest.approx(2**-0.5, abs=0.01)


def test_mass_of_an_excerpt_weighs_in_its_span() -> None:
    stored = pack_excerpts([(0, 5), (6, 9)], [3.0, 1.0], unit(1, 0) + unit(0, 1))
    (found,) = find_best_spans(np.array([1, 0], np.float32), stored)
    assert found.score == pytest.approx(3 / 10**0.5, abs=0.01)


def test_excerpts_without_tokens_are_left_out() -> None:
    stored = pack_excerpts([(0, 5), (6, 9)], [0.0, 2.0], unit(0, 0) + unit(0, 1))
    found = find_best_spans(np.array([0, 1], np.float32), stored)
    assert [(each.start, each.end, each.score) for each in found] == [(6, 9, 1.0)]


NONE = [b"", pack_excerpts([], [], b""), pack_excerpts([(0, 1)], [0.0], unit(0, 0))]


@pytest.mark.parametrize("stored", NONE)
def test_without_excerpts_nothing_is_near(stored: bytes) -> None:
    assert score_best_excerpts(np.array([1, 0], np.float32), [stored]) == [None]
    assert find_best_spans(np.array([1, 0], np.float32), stored) == []


def test_the_excerpts_of_another_model_are_not_compared() -> None:
    stored = pack_excerpts([(0, 1)], [1.0], unit(1, 0, 0))
    assert score_best_excerpts(np.array([1, 0], np.float32), [stored]) == [None]


def test_an_excerpt_has_at_least_so_many_words_unless_a_section_ends() -> None:
    text = " ".join("One two three four five." for _ in range(9))
    counts = [len(text[start:end].split()) for start, end in find_excerpts(text)]
    assert all(count >= MIN_EXCERPT_WORDS for count in counts)
