"""The channels of gpt-oss, as tags that the other filters read."""

from __future__ import annotations

import pytest

from models.output.harmony import HarmonyFilter
from tests.models.output.cutting import cuts

ANALYSIS = "<|channel|>analysis<|message|>They greet me.<|end|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>Hello!<|return|>"
CALL = (
    "<|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json"
    '<|message|>{"city": "Paris"}<|call|>'
)
READ_CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'


def rewritten(pieces: list[str]) -> str:
    filter_ = HarmonyFilter()
    return "".join(filter_.feed(piece) for piece in pieces) + filter_.end()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (ANALYSIS + FINAL, "\n<think>They greet me.</think>Hello!"),
        (FINAL, "Hello!"),
        (ANALYSIS + CALL, f"\n<think>They greet me.</think>{READ_CALL}"),
        (CALL.removesuffix("<|call|>"), READ_CALL),
        ("<|channel|>commentary<|message|>I look.<|end|>" + CALL, f"I look.\n{READ_CALL}"),
        ("<|channel|>analysis<|message|>endless", "\n<think>endless"),
        ("Just text with <|end|> in it.", "Just text with <|end|> in it."),
        ("< no mark", "< no mark"),
    ],
)
def test_channels_become_tags(written: str, text: str) -> None:
    for pieces in cuts(written):
        assert rewritten(pieces) == text, pieces
