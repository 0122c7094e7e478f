"""The channels of gpt-oss ("harmony"), rewritten with the tags that other open models use.

Thinking of the channel `analysis` comes to stand between `<think>` tags, a call of a tool between
`<tool_call>` tags, and the rest by itself. Servers do this themselves; this is for those that do
not. Invariant: text that does not begin with a harmony mark passes as it is.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from models.text.markers import safe_prefix_length

MARKS = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")
_BEGINS = ("<|start|>", "<|channel|>")
_ENDS = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w-]+)")
_MESSAGE = "<|message|>"
_MAX_HEADER = 400
"""Characters before a message; what is longer is no header."""


class _State(Enum):
    UNDECIDED = auto()
    PLAIN = auto()
    HEADER = auto()
    CONTENT = auto()


class HarmonyFilter:
    """Rewrites one answer."""

    def __init__(self) -> None:
        self._held = ""
        self._state = _State.UNDECIDED
        self._closing = ""
        """What ends the message under way in the text that is put out."""

    def feed(self, piece: str) -> str:
        """Take a piece, and return what is decided, rewritten."""
        if self._state is _State.PLAIN:
            return piece
        self._held += piece
        written: list[str] = []
        while self._step(written):
            pass
        return "".join(written)

    def end(self) -> str:
        """Return what is left; a header without its message is nothing."""
        held, self._held = self._held, ""
        if self._state is _State.HEADER:
            return ""
        closing = self._closing if self._closing == "}</tool_call>" else ""
        return held + closing

    def _step(self, written: list[str]) -> bool:
        match self._state:
            case _State.UNDECIDED:
                return self._decide(written)
            case _State.HEADER:
                return self._read_header(written)
            case _State.CONTENT:
                return self._read_content(written)
            case _State.PLAIN:
                return False

    def _decide(self, written: list[str]) -> bool:
        text = self._held.lstrip()
        if text.startswith(_BEGINS):
            self._state = _State.HEADER
            return True
        if not any(mark.startswith(text) for mark in _BEGINS):
            self._pass_through(written)
        return False

    def _pass_through(self, written: list[str]) -> None:
        written.append(self._held)
        self._held, self._state = "", _State.PLAIN

    def _read_header(self, written: list[str]) -> bool:
        header, mark, rest = self._held.partition(_MESSAGE)
        if not mark:
            if len(self._held) > _MAX_HEADER:
                self._pass_through(written)
            return False
        channel, recipient = _CHANNEL.search(header), _RECIPIENT.search(header)
        opening = ""
        if recipient:
            opening = f'<tool_call>{{"name": "{recipient[1]}", "arguments": '
            self._closing = "}</tool_call>"
        elif channel and channel[1] == "analysis":
            opening, self._closing = "\n<think>", "</think>"
        else:
            self._closing = "\n" if channel and channel[1] == "commentary" else ""
        written.append(opening)
        self._held, self._state = rest, _State.CONTENT
        return True

    def _read_content(self, written: list[str]) -> bool:
        end = _ENDS.search(self._held)
        length = end.start() if end else safe_prefix_length(self._held, MARKS)
        written.append(self._held[:length])
        self._held = self._held[length:]
        if end is None:
            return False
        written.append(self._closing)
        self._closing = ""
        # The next message begins with its own header, which some servers leave incomplete.
        self._held = self._held if end[0] in _BEGINS else self._held[len(end[0]) :]
        self._state = _State.HEADER
        return True
