"""How a text is read aloud."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.backends.common.spoken import STRETCH_CHARS, split_for_speech, stretches


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("# A title\n\nText with **bold**, _slanted_ and `code`.", None),
        ("See [the docs](http://a.b/c) now.", ["See the docs now."]),
        ("- first\n- second", ["first", "second"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["a, b", "1, 2"]),
        ("snake_case and 2 * 3 stay.", ["snake_case and 2 * 3 stay."]),
        ("A wrapped\nline goes\ton.", ["A wrapped line goes on."]),
        ("...\n---\n***", []),
        ("你好。再见！", ["你好。", "再见！"]),
    ],
)
def test_only_what_can_be_spoken_is_left(text: str, parts: list[str] | None) -> None:
    if parts is None:
        parts = ["A title", "Text with bold, slanted and code."]
    assert split_for_speech(text, 200) == parts


def test_a_long_sentence_is_cut_where_one_draws_breath() -> None:
    text = "This clause is of some length, and this one follows it; here, after all, it ends."
    assert split_for_speech(text, 40) == [
        "This clause is of some length,",
        "and this one follows it;",
        "here, after all, it ends.",
    ]
    assert split_for_speech("a" * 95, 40) == ["a" * 40, "a" * 40, "a" * 15]


@given(st.text(max_size=300), st.integers(20, 80))
def test_no_part_is_longer_than_allowed_and_no_word_is_lost(text: str, most: int) -> None:
    parts = split_for_speech(text, most)
    assert all(len(part) <= most for part in parts)
    assert all(part == part.strip() for part in parts)


def test_a_long_text_is_looked_at_in_stretches_that_end_between_paragraphs() -> None:
    paragraph = "Some words of a paragraph. " * 40 + "\n\n"
    text = paragraph * 40
    pieces = list(stretches(text))
    assert len(pieces) > 3
    assert "".join(pieces) == text
    assert all(len(piece) <= STRETCH_CHARS for piece in pieces)
    assert all(piece.lstrip("\n").startswith("Some") for piece in pieces)
    assert [part for piece in pieces for part in split_for_speech(piece, 200)] == split_for_speech(
        text, 200
    )


@given(st.text(max_size=200), st.integers(1, 300))
def test_no_character_is_lost_between_stretches(text: str, times: int) -> None:
    assert "".join(stretches(text * times)) == text * times
