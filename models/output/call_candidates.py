"""What in a streaming text may be calls of tools, and where it ends.

Owns the marks before and behind calls. Invariant: text is held back no longer than it may still be
a call; of a value in brackets, its first key decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from models.output.call_parsing import KEYS, Tools
from models.output.values import BracketScanner

MARKS: Mapping[str, tuple[str, ...]] = {
    "<tool_call>": ("</tool_call>",),
    "<tool_calls>": ("</tool_calls>",),
    "<function_call>": ("</function_call>",),
    "<functioncall>": ("</functioncall>",),
    "<function=": ("</function>",),
    "<function-name>": ("</arguments>",),
    "<tools>": ("</tools>",),
    "<|tool_call|>": ("<|/tool_call|>",),
    "<|tool_calls_section_begin|>": ("<|tool_calls_section_end|>",),
    "<｜tool▁calls▁begin｜>": ("<｜tool▁calls▁end｜>",),
    "<|START_ACTION|>": ("<|END_ACTION|>",),
    "<|python_tag|>": ("<|eom_id|>", "<|eot_id|>"),
    "[TOOL_CALLS]": (),
}
"""What open models write before calls, and behind them; without an end, all that follows is."""
FENCE = "```"
_FENCE_BEGIN = re.compile(r"```[\w-]{0,20}\s*")
_BRACKETS = re.compile(r"[\[{\s]{1,100}")
_KEY = re.compile(r"""(["'])([\w-]{0,80})(["']?)""")


class Candidate(Protocol):
    """What may be calls. `marked`: it says so itself."""

    marked: bool

    def find_end(self, text: str) -> int | None:
        """Return where it ends in the text that it begins; None where that has not come.

        0 says that it is no call. `text` is that of the last time, and more.
        """
        ...


class MarkedCalls:
    """What stands behind a mark, to the mark that ends it."""

    marked = True

    def __init__(self, ends: tuple[str, ...]) -> None:
        self._ends = ends
        self._at = 1

    def find_end(self, text: str) -> int | None:
        ends = [at + len(end) for end in self._ends if (at := text.find(end, self._at)) >= 0]
        # An end may come in two pieces.
        self._at = max(1, len(text) - max(map(len, self._ends), default=0))
        return min(ends, default=None)


class Value:
    """A value in brackets, or a call as Python writes it."""

    marked = False

    def __init__(self, tools: Tools, start: int = 0) -> None:
        self._tools = tools
        self._start = start
        self._scanner = BracketScanner(start)
        self._is_likely = False

    def find_end(self, text: str) -> int | None:
        if not self._is_likely:
            verdict = may_be_call(text[self._start :], self._tools)
            if not verdict:
                return verdict if verdict is None else 0
            self._is_likely = True
        return self._scanner.find_end(text)


class FencedValues:
    """A block of code with values in it."""

    marked = False

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._value: Value | None = None
        self._end = 0
        """Where the first value ends, once it has."""

    def find_end(self, text: str) -> int | None:
        if self._value is None:
            begin = _FENCE_BEGIN.match(text)
            if begin is None or begin.end() == len(text):
                return None
            self._value = Value(self._tools, begin.end())
        if not self._end:
            end = self._value.find_end(text)
            if not end:
                return end
            self._end = end
        closing = text.find(FENCE, self._end)
        return None if closing < 0 else closing + len(FENCE)


def may_be_call(text: str, tools: Tools) -> bool | None:
    """Tell by its beginning whether a text may be a call; None where that cannot be told yet."""
    brackets = _BRACKETS.match(text)
    begin = brackets.end() if brackets else 0
    rest = text[begin : begin + 100]
    if not rest:
        return None
    if rest[0] in "\"'":
        return bool(brackets and "{" in brackets[0]) and _is_key(rest, tools)
    begins = (*MARKS, *(f"{before}{name}(" for before in ("", "print(") for name in tools))
    return True if rest.startswith(begins) else _maybe(rest, begins)


def _is_key(text: str, tools: Tools) -> bool | None:
    """Tell whether a text begins with a key of a call, or a tool's name as the key of its one."""
    key = _KEY.match(text)
    if key and key[3]:
        return key[2] in KEYS or key[2] in tools
    return _maybe(key[2], [*KEYS, *tools]) if key and key.end() == len(text) else False


def _maybe(text: str, names: Iterable[str]) -> bool | None:
    """Return None where a text may become one of the names, else False."""
    return None if any(name.startswith(text) for name in names) else False
