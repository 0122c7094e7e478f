"""The calls of tools in what a model writes, in the forms that open models use. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from models.backends.transformers.stop_sequences import safe_prefix_length

BEGIN, END = "<tool_call>", "</tool_call>"
# How an answer begins that is nothing but calls (Llama 3, Mistral).
BARE = ("{", "[", "<|python_tag|>", "[TOOL_CALLS]")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class ParsedToolCall:
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


class CallReader:
    """Lets an answer's text through as it comes, and keeps back what may be calls."""

    def __init__(self) -> None:
        self._held = ""
        self._shown = False
        self._calling = False

    def feed(self, piece: str) -> str:
        """Take a piece, and return what is text for certain."""
        self._held += piece
        begun = self._held.lstrip()
        if self._calling or not begun:
            return ""
        if not self._shown and any(mark.startswith(begun) for mark in BARE):
            return ""  # it may become one
        if not self._shown and begun.startswith(BARE):
            self._calling = True
            return ""
        call_start = self._held.find(BEGIN)
        self._calling = call_start >= 0
        return self._show(call_start if self._calling else safe_prefix_length(self._held, [BEGIN]))

    def end(self) -> tuple[str, list[ParsedToolCall]]:
        """Return the rest of the text, and the calls; what cannot be read as calls is text."""
        held, self._held = self._held, ""
        if not self._calling:
            return held, []
        calls = list(_calls(held))
        return ("", calls) if calls else (held, [])

    def _show(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self._shown = self._shown or bool(text.strip())
        return text


def _calls(text: str) -> Iterator[ParsedToolCall]:
    """Yield every JSON value in it that names a tool."""
    offset = 0
    while (begin := _next(text, offset)) is not None:
        try:
            value, offset = _DECODER.raw_decode(text, begin)
        except ValueError:
            offset = begin + 1
            continue
        for each in value if isinstance(value, list) else [value]:
            if call := _call(each):
                yield call


def _next(text: str, offset: int) -> int | None:
    offsets = [at for mark in "{[" if (at := text.find(mark, offset)) >= 0]
    return min(offsets, default=None)


def _call(value: Any) -> ParsedToolCall | None:
    if not isinstance(value, dict):
        return None
    value = value.get("function") if isinstance(value.get("function"), dict) else value
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return ParsedToolCall(name, arguments)
