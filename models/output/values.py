"""Values in brackets within a text: where they end, and what they hold, be they JSON or nearly so.

Small models write doubled braces, single quotes, comments and trailing commas, and leave the last
brackets out. Invariant: the work is linear in the length of the text, which may be hostile.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CLOSERS = {"{": "}", "[": "]", "(": ")"}
_SIGN = re.compile(r"""[{}\[\]()"'\\]""")
_OPENS = re.compile(r"[{\[]")
_TEXT = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
"""A text in a value, closed or not: one that is tried in vain would be read again from within."""
_COMMENT = re.compile(rf"({_TEXT})|(?://|#)[^\n]*|/\*.{{0,500}}?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_TEXT})|,(?=\s*[\]}}])", re.DOTALL)
_MAX_SPACES = 20
"""Between a sign and the quote behind it."""
_MAX_LITERAL_CHARS = 20_000
"""Of a value that is read as Python's; the parser of it may take much memory."""


class BracketScanner:
    """Finds the end of a value in brackets, while its text comes."""

    def __init__(self, start: int = 0) -> None:
        self._open: list[str] = []
        """What closes the brackets that are open, the outermost first."""
        self._quote = ""
        self._at = start

    @property
    def missing(self) -> str | None:
        """What would close the value; None within a text, whose rest nobody knows."""
        return None if self._quote else "".join(reversed(self._open))

    def find_end(self, text: str) -> int | None:
        """Return where the value that begins at `start` ends; None where that has not come.

        `text` is that of the last call, and more.
        """
        at = self._at
        while sign := _SIGN.search(text, at):
            at = sign.end()
            if sign[0] == "\\":
                if at == len(text):
                    at = sign.start()
                    break
                at += 1
            elif self._quote:
                self._quote = "" if sign[0] == self._quote else self._quote
            elif self._closes_all(sign, text):
                return at
        else:
            at = len(text)
        self._at = at
        return None

    def _closes_all(self, sign: re.Match[str], text: str) -> bool:
        if sign[0] in _CLOSERS:
            self._open.append(_CLOSERS[sign[0]])
        elif sign[0] == '"' or (sign[0] == "'" and _may_quote(text, sign.start())):
            self._quote = sign[0]
        elif self._open and sign[0] == self._open[-1]:
            self._open.pop()
            return not self._open
        return False


def _may_quote(text: str, at: int) -> bool:
    """Tell whether a single quote may begin a text; others are apostrophes."""
    before = text[max(0, at - _MAX_SPACES) : at].rstrip()
    return before[-1:] in tuple("{[(,:=")


@dataclass(frozen=True, slots=True)
class BracketedValue:
    """`text[start:end]`, and what it holds: None where it cannot be read."""

    start: int
    end: int
    value: Any


def find_values(text: str, *, cut: bool) -> Iterator[BracketedValue]:
    """Yield the outermost values in brackets, in order.

    A last one that lacks its closing brackets gets them, unless the text was `cut`.
    """
    end = 0
    while begin := _OPENS.search(text, end):
        start, scanner = begin.start(), BracketScanner(begin.start())
        closed = scanner.find_end(text)
        if closed is None:
            missing = None if cut else scanner.missing
            value = None if missing is None else load_value(text[start:] + missing)
            yield BracketedValue(start, len(text), value)
            return
        end = closed
        yield BracketedValue(start, end, load_value(text[start:end]))


def load_value(text: str) -> Any:
    """Read a value as JSON, with what models add, or as Python's; None where it is neither."""
    for form in _forms(text):
        try:
            return json.loads(form, strict=False)
        except (ValueError, RecursionError):
            continue
    return _load_literal(text)


def _forms(text: str) -> Iterator[str]:
    yield text
    if text.startswith("{{"):
        yield text.replace("{{", "{").replace("}}", "}")
        yield text[1:-1]
    yield _TRAILING_COMMA.sub(_keep_text, _COMMENT.sub(_keep_text, text))


def _keep_text(match: re.Match[str]) -> str:
    return match[1] or ""


def _load_literal(text: str) -> Any:
    if len(text) > _MAX_LITERAL_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
