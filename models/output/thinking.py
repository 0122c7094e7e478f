"""Thinking between tags, taken out of a text that comes in pieces.

Owns the tags and where they count. A tag opens at the beginning of a line, or right behind other
thinking; neither in a block of code. A closing tag whose opening stood in the prompt counts once,
unless it is quoted. Invariant: what comes out does not depend on how the text was cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from models.text.markers import LinePosition, safe_prefix_length

PAIRS: Mapping[str, str] = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel>thought": "<channel|>",
    "◁think▷": "◁/think▷",
}
"""Opening and closing tags of open models."""
MARKS = (*PAIRS, *PAIRS.values())
_MARK = re.compile("|".join(re.escape(mark) for mark in MARKS))
_QUOTES = ("`", '"', "'", "“", "‘")


class Piece(NamedTuple):
    """A piece of what a model writes. `unopened` has no text: all before it was thinking."""

    kind: Literal["text", "thinking", "unopened"]
    text: str


class ThinkingFilter:
    """Parts one answer into thinking and text.

    With `may_be_open` nothing is put out until it is known whether the answer began as thinking.
    """

    def __init__(self, *, may_be_open: bool = False) -> None:
        self._held = ""
        self._close = ""
        """The tag that ends the thinking under way."""
        self._waits = may_be_open
        self._is_blank = True
        """Whether nothing but white space came since the beginning or the last tag."""
        self._has_text = False
        self._has_thought = False
        self._position = LinePosition()
        self.was_open = False
        """Whether the text began as thinking, without a tag."""

    def feed(self, piece: str) -> list[Piece]:
        """Take a piece, and return what is decided."""
        self._held += piece
        pieces: list[Piece] = []
        while self._read_thinking(pieces) if self._close else self._read_text(pieces):
            pass
        return pieces

    def end(self) -> list[Piece]:
        """Return what is left: thinking whose end did not come, or text."""
        pieces: list[Piece] = []
        if self._close:
            self._put_thinking(len(self._held), pieces)
        elif self._held.strip() or not self._has_thought:
            self._put_text(len(self._held), pieces, last=True)
        return pieces

    def _read_thinking(self, pieces: list[Piece]) -> bool:
        """Put thinking out as far as it goes; tell whether it has ended."""
        end = self._held.find(self._close)
        if end < 0:
            self._put_thinking(safe_prefix_length(self._held, [self._close]), pieces)
            return False
        self._put_thinking(end, pieces)
        self._pass_mark(self._close)
        self._close = ""
        return True

    def _read_text(self, pieces: list[Piece]) -> bool:
        """Put text out up to the next tag that counts; tell whether there is one."""
        mark = self._find_mark()
        if mark is None:
            if not self._waits:
                self._put_text(safe_prefix_length(self._held, MARKS), pieces)
            return False
        if mark[0] in PAIRS:
            self._put_text(mark.start(), pieces)
            self._close = PAIRS[mark[0]]
        elif self._waits:
            self._put_thinking(mark.start(), pieces)
            self.was_open = True
        else:
            self._put_text(mark.start(), pieces)
            pieces.append(Piece("unopened", ""))
            self._has_text, self.was_open = False, True
        self._has_thought, self._waits = True, False
        self._pass_mark(mark[0])
        return True

    def _find_mark(self) -> re.Match[str] | None:
        for mark in _MARK.finditer(self._held):
            position = self._position.after(self._held[: mark.start()])
            if position.is_code:
                continue
            if mark[0] in PAIRS:
                if not position.line.strip():
                    return mark
            elif not self._has_thought and not position.line.endswith(_QUOTES):
                return mark
        return None

    def _pass_mark(self, mark: str) -> None:
        self._held = self._held.lstrip().removeprefix(mark)
        self._position = LinePosition()
        self._is_blank = True

    def _put_thinking(self, length: int, pieces: list[Piece]) -> None:
        text, self._held = self._held[:length], self._held[length:]
        text = text.lstrip() if self._is_blank else text
        if text:
            self._is_blank = False
            pieces.append(Piece("thinking", text))

    def _put_text(self, length: int, pieces: list[Piece], *, last: bool = False) -> None:
        """Put text out; white space waits for what follows, and goes where thinking was."""
        text = self._held[:length]
        if self._is_blank and not text.strip() and not last:
            return
        self._held = self._held[length:]
        self._position = self._position.after(text)
        if self._is_blank and self._has_thought and not self._has_text:
            text = text.lstrip()
        if text:
            self._is_blank, self._has_text = False, True
            pieces.append(Piece("text", text))
