"""Thinking between tags, apart from the text, however the text was cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.output.thinking import MARKS, PAIRS, ThinkingFilter
from tests.models.output.cutting import cuts


def read(pieces: list[str], *, may_be_open: bool = False) -> tuple[str, str]:
    """Return the thinking and the text, as those have them who know of unopened thinking."""
    filter_ = ThinkingFilter(may_be_open=may_be_open)
    thinking = text = ""
    decided = [each for piece in pieces for each in filter_.feed(piece)]
    for piece in [*decided, *filter_.end()]:
        if piece.kind == "unopened":
            thinking, text = text, ""
        elif piece.kind == "thinking":
            thinking += piece.text
        else:
            text += piece.text
    return thinking, text


@pytest.mark.parametrize(
    ("written", "thinking", "text"),
    [
        ("<think>\nA boat?\n</think>\n\nYes, a boat.", "A boat?\n", "Yes, a boat."),
        ("<think>\n\n</think>\n\nYes.", "", "Yes."),
        ("\n<think>So.</think>Yes.", "So.", "Yes."),
        ("<thinking>So.</thinking>Yes.", "So.", "Yes."),
        ("[THINK]So.[/THINK]Yes.", "So.", "Yes."),
        ("<|channel>thought\nSo.<channel|>Yes.", "So.", "Yes."),
        ("◁think▷So.◁/think▷Yes.", "So.", "Yes."),
        ("<think>a</think>\n<think>b</think>Yes.", "ab", "Yes."),
        ("First.\n<think>b</think>\nThen.", "b", "First.\n\nThen."),
        ("<think>never ended", "never ended", ""),
        ("<think>the end came in part</thi", "the end came in part</thi", ""),
        ("So it is.\n</think>\n\nYes.", "So it is.\n", "Yes."),
        ("</think>\n\nYes.", "", "Yes."),
        ("<think>a < b, and <b>bold</b></think>Yes.", "a < b, and <b>bold</b>", "Yes."),
    ],
)
def test_thinking_is_parted_from_the_text(written: str, thinking: str, text: str) -> None:
    for pieces in cuts(written):
        assert read(pieces) == (thinking, text), pieces


@pytest.mark.parametrize(
    "written",
    [
        "Yes.",
        "  indented, and no tag",
        "The tag <think> stands within a line.",
        "Write `</think>` behind it.",
        'It ends with "</think>" there.',
        "In code:\n```\n<think>\nx\n</think>\n```\nThat is all.",
        "a <thin line, [1] and {x}",
        "",
    ],
)
def test_text_without_thinking_stays_as_it_is(written: str) -> None:
    for pieces in cuts(written):
        assert read(pieces) == ("", written), pieces


@pytest.mark.parametrize(
    ("written", "thinking", "text"),
    [
        ("So it is.</think>Yes.", "So it is.", "Yes."),
        ("Yes, without a tag.", "", "Yes, without a tag."),
        ("<think>So.</think>Yes.", "So.", "Yes."),
    ],
)
def test_text_that_may_be_thinking_waits_for_its_tag(
    written: str, thinking: str, text: str
) -> None:
    for pieces in cuts(written):
        assert read(pieces, may_be_open=True) == (thinking, text), pieces
    assert ThinkingFilter(may_be_open=True).feed("So it") == []


def test_text_is_put_out_as_it_comes() -> None:
    filter_ = ThinkingFilter()

    assert [piece.text for piece in filter_.feed("A boat")] == ["A boat"]
    assert [piece.text for piece in filter_.feed(" <b")] == [" <b"]
    assert [piece.kind for piece in filter_.feed("\n<think>x")] == ["text", "thinking"]


LETTERS = st.sampled_from([*MARKS, "a", " ", "\n", "<", "`", "```", "[", "|"])


@settings(deadline=None)
@given(st.lists(LETTERS, max_size=12).map("".join))
def test_what_comes_out_does_not_depend_on_the_cuts(written: str) -> None:
    whole, *others = [read(pieces) for pieces in cuts(written)]

    assert others == [whole] * len(others)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab \n<>/[]|`"), max_size=40))
def test_no_letter_of_a_text_without_tags_is_lost(written: str) -> None:
    assert read(list(written)) == ("", written)


@pytest.mark.parametrize(("opening", "closing"), PAIRS.items())
def test_each_pair_of_tags_is_known(opening: str, closing: str) -> None:
    assert read([f"{opening}so{closing}yes"]) == ("so", "yes")
