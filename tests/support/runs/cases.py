"""Each agent of this folder with an input, and the output that it must come to."""

from __future__ import annotations

from typing import Any

TOPIC = {"topic": "T"}
LETTERS = {"items": list("abcdef")}
CASES: dict[str, tuple[Any, Any]] = {
    "tale": (TOPIC, {"tale": "one two three of T / after one two three of T comes the end"}),
    "fork": (
        TOPIC,
        {
            "both": "both left of T! and further right of T!",
            "heard": ["further right of T!", "left of T!", "right of T!"],
        },
    ),
    "polish": (TOPIC, {"drafts": [f"draft {n} of T" for n in (1, 2, 3, 4)], "round": 4}),
    "each": (
        LETTERS,
        {"results": [f"ITEM {c} AT {n}" for n, c in enumerate("ABCDEF")], "count": 6},
    ),
    "confirm": (
        TOPIC,
        {"closing": "yes-to-Is-proposal-for-T-good it is", "count": 2}
        | {"word": "yes-to-Is-proposal-for-T-good"},
    ),
    "poll": (
        {"items": list("abc")},
        {"results": [f"{item}=noted yes-to-about-{item}" for item in "abc"]},
    ),
    "panel": (
        TOPIC,
        {
            "all": "after right, middle panel on T, yes-to-left-panel-on-T, "
            "yes-to-right-panel-on-T",
            "words": [
                "yes-to-left-panel-on-T",
                "middle panel on T",
                "yes-to-right-panel-on-T",
                "after right",
            ],
        },
    ),
    "nested": (
        TOPIC,
        {
            "all": "yes-to-Is-proposal-for-yes-to-Is-proposal-for-T-good-it-is-good it is!",
            "answers": [
                "yes-to-Is-proposal-for-T-good",
                "yes-to-Is-proposal-for-yes-to-Is-proposal-for-T-good-it-is-good",
            ],
        },
    ),
    "deep": (
        {"items": ["a", "b"]},
        {"all": "a=noted yes-to-about-a b=noted yes-to-about-b yes-to-beside-go"},
    ),
    "asking-twice": ({"x": 0}, {"x": 0, "log": ["yes-to-one", "yes-to-two"]}),
    "helper": (
        TOPIC,
        {
            "answer": "saw here noted this saw there",
            "steps": 2,
            "noted": "noted saw here noted this saw there",
        },
    ),
    "shaky": (
        TOPIC,
        {"said": "steady T now", "mended": "mended tool_failed of steady T now"}
        | {"trouble": "tool_failed"},
    ),
    "stumble": (TOPIC, {"answer": "steady T now", "results": ["stood first a", "stood first b"]}),
    "kept": (TOPIC, {"one": "keep T", "x": "last keep T"}),
    "wrong": (TOPIC, None),
}
