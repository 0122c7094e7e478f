"""Calls of tools, taken out of a text that comes in pieces.

Owns where calls may stand; where each ends is found by `call_candidates`, what it says by
`call_parsing`. Invariants: what comes out does not depend on how the text was cut, and text that is
no call comes out as it was.
"""

from __future__ import annotations

import re

from models.output.call_candidates import (
    FENCE,
    MARKS,
    Candidate,
    FencedValues,
    MarkedCalls,
    Value,
)
from models.output.call_parsing import ParsedToolCall, Tools, UnreadableCall, parse_calls
from models.text.markers import LinePosition, safe_prefix_length

MAX_HELD = 200_000
"""Characters that are held back for one call; what is longer is text."""
_ENDS = tuple(end for ends in MARKS.values() for end in ends)
_LONGEST_MARK = max(map(len, MARKS))
_BETWEEN = re.compile("|".join([r"[\s,;}\]]", *map(re.escape, _ENDS)]))
"""What stands between calls, or is left of one."""


class CallFilter:
    """Lets an answer's text through as it comes, and keeps back what may be calls.

    `calls` and `unreadable` are those that were read until now, each once; `repeats` says how often
    one of them came again.
    """

    def __init__(self, tools: Tools) -> None:
        self.calls: list[ParsedToolCall] = []
        self.unreadable: list[UnreadableCall] = []
        self.repeats = 0
        self._tools = tools
        self._pythonic = tuple(f"{name}(" for name in tools)
        begins = [*MARKS, FENCE, *self._pythonic]
        self._start = re.compile("|".join([*map(re.escape, begins), r"[{\[]"]))
        self._held = ""
        self._candidate: Candidate | None = None
        """What the held text begins with, where that may be a call."""
        self._position = LinePosition()
        self._behind_call = False

    def feed(self, piece: str) -> str:
        """Take a piece, and return what is text for certain."""
        self._held += piece
        shown: list[str] = []
        while self._held and self._step(shown):
            pass
        return "".join(shown)

    def end(self, *, cut: bool) -> str:
        """Return the rest of the text; `cut`: the answer breaks off, maybe within a call."""
        shown: list[str] = []
        if self._candidate is not None:
            # What breaks off behind a mark or a call is the beginning of another one.
            is_fragment = cut and (self._candidate.marked or bool(self.calls))
            self._finish(len(self._held), shown, cut=cut)
            shown = [] if is_fragment else shown
        if not self._behind_call:
            self._show(len(self._held), shown)
        return "".join(shown)

    def _step(self, shown: list[str]) -> bool:
        """Decide something of the held text; False where more must come."""
        if self._candidate is None:
            return self._skip_between() and self._find_candidate(shown)
        end = self._candidate.find_end(self._held)
        if end is None and len(self._held) > MAX_HELD:
            end = 0
        if end is None:
            return False
        self._finish(end, shown, cut=False)
        return True

    def _finish(self, end: int, shown: list[str], *, cut: bool) -> None:
        """Take the candidate as calls, or else as text."""
        candidate, self._candidate = self._candidate, None
        marked = candidate is not None and candidate.marked
        if end and (parsed := parse_calls(self._held[:end], self._tools, marked=marked, cut=cut)):
            for call in parsed.calls:
                # A model that goes round in circles writes one call many times.
                if call in self.calls:
                    self.repeats += 1
                else:
                    self.calls.append(call)
            self.unreadable += parsed.unreadable
            self._held, self._behind_call = self._held[end:], True
        else:
            # At least one sign, so that the same beginning is not tried again.
            self._show(max(1, end), shown)

    def _skip_between(self) -> bool:
        """Drop what stands behind a call and belongs to it; False where more of it may come."""
        if self._behind_call:
            while between := _BETWEEN.match(self._held):
                self._held = self._held[between.end() :]
            if not safe_prefix_length(self._held, _ENDS):
                return False
            self._behind_call, self._position = False, LinePosition()
        return True

    def _find_candidate(self, shown: list[str]) -> bool:
        for start in self._start.finditer(self._held):
            if start[0] not in MARKS and self._may_be_mark(start.start()):
                self._show(start.start(), shown)
                return False
            position = self._position.after(self._held[: start.start()])
            if candidate := self._open(start[0], position):
                self._show(start.start(), shown)
                self._candidate = candidate
                return True
        self._show(self._safe_length(), shown)
        return False

    def _may_be_mark(self, start: int) -> bool:
        """Tell whether the held text ends in the beginning of a mark."""
        if len(self._held) - start > _LONGEST_MARK:
            return False
        return any(mark.startswith(self._held[start:]) for mark in MARKS)

    def _open(self, begin: str, position: LinePosition) -> Candidate | None:
        """Return what may begin here."""
        if begin in MARKS:
            return MarkedCalls(MARKS[begin])
        if position.is_code or (begin in self._pythonic and not position.begins_line):
            return None
        return FencedValues(self._tools) if begin == FENCE else Value(self._tools)

    def _safe_length(self) -> int:
        """Measure how much of the held text cannot be the start of a call."""
        length = safe_prefix_length(self._held, (*MARKS, FENCE))
        position = self._position.after(self._held)
        line = position.line.lstrip()
        if line and not position.is_code and any(each.startswith(line) for each in self._pythonic):
            # Of a line that was begun before, no more can be held than is here.
            length = min(length, max(0, len(self._held) - len(line)))
        return length

    def _show(self, length: int, shown: list[str]) -> None:
        text, self._held = self._held[:length], self._held[length:]
        self._position = self._position.after(text)
        shown.append(text)
