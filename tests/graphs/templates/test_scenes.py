"""Texts are cut between sentences, word for word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.templates.scenes import chapters, scenes, spoken

TALE = (
    'Mr. Fox woke up early. "Where is my hat?" he asked. The hat was gone! He looked under the '
    "bed.\n\nOutside, the wind was blowing. A bird had the hat. They flew away… And never came "
    "back."
)


def test_scenes_are_about_as_long_as_each_other() -> None:
    found = scenes(TALE, 4)
    assert len(found) == 4
    assert max(map(len, found)) < 3 * min(map(len, found))
    assert found[0].startswith("Mr. Fox woke up early.")


def test_no_more_scenes_than_sentences() -> None:
    assert scenes("Once. Twice. Thrice.", 10) == ["Once.", "Twice.", "Thrice."]
    assert scenes("  without an end  ", 3) == ["without an end"]
    assert scenes("", 3) == []


def test_the_paragraphs_of_a_story_are_its_scenes() -> None:
    story = "One. Two.\n\nThree. Four.\n\n\nFive."
    assert scenes(story, 3) == scenes(story, 4) == ["One. Two.", "Three. Four.", "Five."]
    assert scenes(story, 2) == ["One. Two.", "Three. Four.\n\n\nFive."]
    assert len(scenes(story, 5)) == 5


@given(
    st.lists(st.sampled_from(["Dr. No left.", "Who?", "A long one, with 3.5 of it.", "…", "\n\n"])),
    st.integers(1, 12),
)
def test_scenes_joined_are_the_text(parts: list[str], count: int) -> None:
    text = " ".join(parts)
    found = scenes(text, count)
    assert " ".join(" ".join(found).split()) == " ".join(text.split())
    assert len(found) <= count


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("# Title\n\nIt is **very** _good_ [1].", "Title\n\nIt is very good."),
        ("See [here](http://a.b), or `there`.", "See here, or there."),
        ("- one\n- two\n\n1. three", "one\ntwo\n\nthree"),
        ("Before.\n\n```\ncode\n```\n\nAfter.", "Before.\n\nAfter."),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("![a picture](x.png)Text", "Text"),
    ],
)  # fmt: skip
def test_spoken_text_has_no_markdown(written: str, said: str) -> None:
    assert spoken(written) == said


def test_headings_are_chapters() -> None:
    found = chapters("Before.\n\n# The *fox*\n\nIt ran.\n\n## Why?\n\nNobody knows.")
    assert found == [
        {"title": "Before.", "text": "Before."},
        {"title": "The fox", "text": "The fox.\n\nIt ran."},
        {"title": "Why?", "text": "Why?\n\nNobody knows."},
    ]


def test_a_long_text_without_headings_is_cut_into_chapters_called_by_how_they_begin() -> None:
    text = " ".join(f"Sentence number {n} of a long tale is here." for n in range(100))
    found = chapters(text)
    assert len(found) == 4
    assert all(part["text"].startswith(part["title"].rstrip("…")) for part in found)
    assert chapters("Short.") == [{"title": "Short.", "text": "Short."}]
    assert chapters("") == []
