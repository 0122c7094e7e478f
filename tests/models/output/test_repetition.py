"""Texts that go round in circles, and such as do not."""

from __future__ import annotations

import json

import pytest

from models.output.repetition import RepetitionDetector

STORY = "Once there was a boat. It went to sea. "
REFRAIN = "Row, row, row your boat, gently down the stream.\n"


def keep(text: str, size: int = 5, *, is_format: bool = False) -> str | None:
    """Return what is kept of a looping text; None for a text that does not loop."""
    detector = RepetitionDetector(is_format=is_format)
    for begin in range(0, len(text), size):
        kept = detector.feed(text[begin : begin + size])
        if kept is not None:
            return text[:kept]
    return None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Intro. " + "The harbour is open. " * 60, "Intro. The harbour is open."),
        ("ha" * 2000, "ha"),
        ("So: " + "\n" * 2000, "So: \n"),
        (
            "".join(f"Tip {n}: Go to the harbour and look around.\n" for n in range(10, 99)),
            "Tip 10: Go to the harbour and look around.\n",
        ),
        (
            "".join(f"[{n}] Engines: the engine runs on diesel.\n\n" for n in range(10, 40)),
            "[10] Engines: the engine runs on diesel.\n",
        ),
        (STORY + "The end. It slept. " * 40, STORY + "The end. It slept."),
        ("a b c " + f"{STORY * 8}\n\n" * 5, None),
    ],
)
def test_loop_is_noticed_with_its_first_round_kept(text: str, kept: str | None) -> None:
    for size in (1, 5, 64, 700):
        found = keep(text, size)
        assert found is not None
        assert kept is None or found.startswith(kept)
        assert len(found) < len(text) / 2


def test_first_round_ends_with_a_sentence() -> None:
    assert keep("Intro. " + "The harbour is open. " * 60) == "Intro. The harbour is open."


@pytest.mark.parametrize(
    "text",
    [
        STORY * 3,
        "".join(f"A{chr(97 + n % 26)}{chr(97 + n // 26)} is open [{n}].\n" for n in range(99)),
        "".join(f"| {n} | {n * 3} | {n * 7} |\n" for n in range(200)),
        ", ".join(str(n) for n in range(2000)),
        "| --- " * 40 + "|\n",
        "=" * 200 + "\nHeading\n" + "=" * 200,
        "".join(f"Verse {n} {n * n} of many words.\n{REFRAIN}" for n in range(8)),
        "".join(f"def area_{chr(97 + n)}(width):\n    return width * {n}\n\n" for n in range(20)),
        json.dumps([{"room": n, "seats": 20, "building": "Main"} for n in range(25)]),
    ],
)
def test_text_that_repeats_some_of_itself_is_no_loop(text: str) -> None:
    assert keep(text) is None


def test_json_may_repeat_more_of_itself() -> None:
    labels = json.dumps(["positive"] * 120)

    assert keep(labels) is not None
    assert keep(labels, is_format=True) is None


def test_text_that_its_server_broke_off_is_a_loop_sooner() -> None:
    broken, whole = RepetitionDetector(), RepetitionDetector()

    assert broken.feed("Well: " + "ha " * 31) is None
    assert broken.end() == len("Well: ha")
    priced = RepetitionDetector()
    assert priced.feed("".join(f"[{n}] $1.50\n\n" for n in range(10, 34))) is None
    assert priced.end() == len("[10] $1.50\n\n")
    assert whole.feed(STORY) is None
    assert whole.end() is None
