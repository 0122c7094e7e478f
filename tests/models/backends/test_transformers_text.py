"""Stops, calls of tools and stretches of speech, taken out of what models write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.backends.transformers.calls import CallReader, ParsedToolCall
from models.backends.transformers.stop_sequences import StopSequenceFilter
from models.backends.transformers.timestamps import parse_timestamps

CALL = ParsedToolCall("weather", {"city": "Paris"})
AS_JSON = json.dumps({"name": "weather", "arguments": {"city": "Paris"}})


def read(*pieces: str) -> tuple[str, list[ParsedToolCall]]:
    reader = CallReader()
    shown = "".join(reader.feed(piece) for piece in pieces)
    rest, calls = reader.end()
    return shown + rest, calls


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{AS_JSON}\n</tool_call>",
        AS_JSON,
        f"[{AS_JSON}]",
        f"<|python_tag|>{AS_JSON}",
        f"[TOOL_CALLS] [{AS_JSON}]",
        '{"name": "weather", "parameters": {"city": "Paris"}}',
        '{"function": {"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}}',
    ],
)
def test_calls_are_read_in_the_forms_that_models_use(text: str) -> None:
    assert read(*text) == ("", [CALL])


def test_text_before_calls_is_shown_and_several_calls_are_found() -> None:
    block = f"<tool_call>{AS_JSON}</tool_call>"
    assert read("Let me look. ", block, "\n", block) == ("Let me look. ", [CALL, CALL])


@pytest.mark.parametrize("text", ["a < b", "{not json", "[1, 2, 3]", '{"name": 3}', "<tool_call>?"])
def test_what_is_no_call_is_text(text: str) -> None:
    assert read(*text) == (text, [])


@given(st.text(alphabet="ab<tool_call>{}", max_size=60), st.integers(1, 7))
def test_no_character_of_plain_text_is_lost(text: str, size: int) -> None:
    pieces = [text[begin : begin + size] for begin in range(0, len(text), size)]
    assert read(*pieces) == (text, [])


@given(st.text(alphabet="abc", max_size=40), st.lists(st.text("abc", min_size=1, max_size=4)))
def test_text_ends_at_the_first_stop_however_it_is_cut(text: str, stops: list[str]) -> None:
    until = StopSequenceFilter(stops)
    shown = "".join(until.feed(letter) for letter in text) + until.end()
    assert not any(stop in shown for stop in stops)
    assert text.startswith(shown)
    assert until.stopped == any(stop in text for stop in stops)
    assert until.stopped or shown == text


TIME = 100


def stretches(*tokens: int, window_s: float = 30.0) -> tuple[list[tuple[float, float]], float]:
    found, on_s = parse_timestamps(tokens, TIME, lambda token: token >= 10, window_s)
    return [(each.start_s, each.end_s) for each in found], on_s


def test_speech_stands_between_its_times() -> None:
    assert stretches(1, TIME, 20, 21, TIME + 50, TIME + 50, 22, TIME + 100) == (
        [(0.0, 1.0), (1.0, 2.0)],
        30.0,
    )


def test_a_stretch_without_its_end_is_heard_again_from_its_start() -> None:
    assert stretches(TIME, 20, TIME + 50, TIME + 60, 21) == ([(0.0, 1.0)], 1.2)
    assert stretches(TIME, 20, TIME + 50, TIME + 60) == ([(0.0, 1.0)], 1.2)


def test_a_stretch_that_fills_the_window_is_cut_with_it() -> None:
    assert stretches(TIME, 20, 21) == ([(0.0, 30.0)], 30.0)
    assert stretches(20, 21, window_s=4.0) == ([(0.0, 4.0)], 4.0)


def test_silence_is_passed_over() -> None:
    assert stretches() == ([], 30.0)
    assert stretches(TIME, TIME + 1500) == ([], 30.0)
