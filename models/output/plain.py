"""A whole text of a model, parted into thinking and what it says."""

from __future__ import annotations

from typing import NamedTuple

from models.output.harmony import HarmonyFilter
from models.output.thinking import ThinkingFilter


class SplitText(NamedTuple):
    """Both without white space around them; either may be empty."""

    thinking: str
    text: str


def split_thinking(written: str) -> SplitText:
    """Part a whole text."""
    harmony, tags = HarmonyFilter(), ThinkingFilter()
    pieces = tags.feed(harmony.feed(written)) + tags.feed(harmony.end()) + tags.end()
    thinking = text = ""
    for piece in pieces:
        match piece.kind:
            case "thinking":
                thinking += piece.text
            case "text":
                text += piece.text
            case "unopened":
                thinking, text = text, ""
    return SplitText(thinking.strip(), text.strip())
