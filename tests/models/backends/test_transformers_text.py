"""Stops and stretches of speech, taken out of what models write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.backends.transformers.stop_sequences import StopSequenceFilter
from models.backends.transformers.timestamps import parse_timestamps


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
