"""A hint that misleads is worse than none."""

from __future__ import annotations

import pytest

from config.errors import nearest
from config.hints import MAX_SHOWN, guess_name


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("quikc", "quick"),
        ("Chat", "chat"),
        ("chunk-words", "chunk_words"),
        ("chunkWords", "chunk_words"),
        ("llama3.2:3b-instruct", "llama3.2:3b-instruc"),
        ("lg", "log"),
        ("nmae", "name"),
    ],
)
def test_slip_of_the_pen_is_corrected(wrong: str, right: str) -> None:
    assert nearest(wrong, [right, "zzz"]) == f"Did you mean '{right}'?"


@pytest.mark.parametrize(
    ("wrong", "other"),
    [
        ("qwen3:8b", "qwen3:4b"),
        ("gpt-4", "gpt-5"),
        ("step_2", "step_3"),
        ("GMT+2", "GMT-2"),
        ("0192f7aa-1111-7abc-8000-000000000000", "0192f7aa-1112-7abc-8000-000000000000"),
        ("a" * 31 + "1", "a" * 31 + "2"),
        ("log2", "log10"),
        ("min_score", "max_score"),
        ("excluded", "included"),
        ("top_p", "top_k"),
        ("before", "after"),
        ("nin", "in"),
        ("disable_cache", "enable_cache"),
        ("unpin", "pin"),
        ("no_stream", "stream"),
        ("not_equal", "equal"),
        ("desc", "asc"),
        ("async", "sync"),
    ],
)
def test_another_number_and_the_opposite_are_not_proposed(wrong: str, other: str) -> None:
    assert nearest(wrong, [other, "zzz"]) == f"Known: {', '.join(sorted([other, 'zzz']))}."
    assert guess_name(other, [wrong]) is None


@pytest.mark.parametrize(
    ("wrong", "right", "unit"),
    [
        ("timeout_ms", "timeout_s", "seconds"),
        ("timeout", "timeout_s", "seconds"),
        ("timeout_min", "timeout_ms", "milliseconds"),
        ("max_mb", "max_bytes", "bytes"),
        ("keep_runs_hours", "keep_runs_days", "days"),
    ],
)
def test_guess_of_another_unit_says_its_unit(wrong: str, right: str, unit: str) -> None:
    assert nearest(wrong, [right]) == f"Did you mean '{right}', in {unit}?"
    assert nearest(f"x{right}", [right]) == f"Did you mean '{right}'?"


def test_very_many_names_are_counted_and_not_all_listed() -> None:
    names = [f"document-{number:05}" for number in range(5000)]
    sentence = nearest("nothing like it", names)
    assert sentence.endswith(f"and {5000 - MAX_SHOWN} more.")
    assert len(sentence) < 1000
