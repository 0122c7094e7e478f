"""Guesses at what a wrong name was meant for.

A guess that looks alike and means something else is worse than none: another number, the opposite,
another thing of one kind. Invariant: a name is proposed only where taking it for the wrong one is a
slip of the pen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

MAX_COMPARED = 1000
"""Names beyond so many are not compared: the guess is not worth the time."""
MAX_GUESSED_CHARS = 200
"""A longer name is no slip of the pen, and comparing it takes its square."""
MAX_SHOWN = 40
NUMBER = re.compile(r"[+-]?\d+")
WORD_END = re.compile(r"[\W_]+")
UNITS = {
    "s": "seconds", "ms": "milliseconds", "us": "microseconds", "minutes": "minutes",
    "min": "minutes", "hours": "hours", "days": "days", "bytes": "bytes", "kb": "kilobytes",
    "mb": "megabytes", "gb": "gigabytes", "mib": "MiB", "gib": "GiB", "chars": "characters",
    "words": "words", "tokens": "tokens", "hz": "hertz", "percent": "percent",
}  # fmt: skip
"""What the last words of names say of their values."""
OPPOSITES = frozenset(
    frozenset(pair.split("/"))
    for pair in (
        *("min/max", "minimum/maximum", "include/exclude", "included/excluded", "allow/deny"),
        *(
            "enable/disable",
            "enabled/disabled",
            "before/after",
            "first/last",
            "start/end",
            "start/stop",
            "begin/end",
            "asc/desc",
        ),
        *("ascending/descending", "append/prepend", "input/output", "source/target", "read/write"),
        *("left/right", "up/down", "on/off", "true/false", "lt/gt", "lte/gte", "in/out", "from/to"),
        *("import/export", "lower/upper", "lowest/highest", "low/high", "width/height", "k/p"),
        *("internal/external", "encode/decode", "encrypt/decrypt", "increase/decrease", "old/new"),
        *("add/remove", "sync/async", "sin/asin", "cos/acos", "tan/atan", "in/nin", "eq/ne"),
        *("top/bottom", "local/global", "all/any", "sent/received", "request/response"),
    )
)
NEGATIONS = ("un", "dis", "non", "not", "no")
"""What makes the opposite of a word in front of it, or as a word of its own."""


def guess_name(wrong: str, names: Sequence[str]) -> str | None:
    """Guess which of the names a wrong one was meant for; None where no guess is safe."""
    if len(wrong) > MAX_GUESSED_CHARS:
        return None
    compared, spelling = names[:MAX_COMPARED], _spell(wrong)
    spelled_alike = [name for name in compared if _spell(name) == spelling]
    for name in spelled_alike or get_close_matches(wrong, compared):
        if not _misleads(wrong, name):
            return name
    return None


def name_unit(wrong: str, guess: str) -> str:
    """Say what the guess is measured in, where the wrong name does not: `, in seconds`."""
    if _spell(wrong) == _spell(guess):
        return ""
    last = _words(guess)[-1:]
    unit = UNITS.get(last[0]) if last and last != _words(wrong)[-1:] else None
    return f", in {unit}" if unit else ""


def list_names(names: Sequence[str]) -> str:
    """List what there is as a sentence, and only count the rest of very many."""
    if not names:
        return "There are none yet."
    shown, rest = sorted(names)[:MAX_SHOWN], len(names) - MAX_SHOWN
    return f"Known: {', '.join(shown)}{f', and {rest} more' if rest > 0 else ''}."


def _misleads(wrong: str, guess: str) -> bool:
    if NUMBER.findall(wrong) != NUMBER.findall(guess):
        return True
    left, right = _words(wrong), _words(guess)
    if ({*left} ^ {*right}) & {*NEGATIONS}:
        return True
    return len(left) == len(right) and any(map(_are_opposite, left, right))


def _are_opposite(one: str, other: str) -> bool:
    negated = any(one == prefix + other or other == prefix + one for prefix in NEGATIONS)
    return negated or frozenset((one, other)) in OPPOSITES


def _spell(name: str) -> str:
    return WORD_END.sub("", name).casefold()


def _words(name: str) -> list[str]:
    return [word.casefold() for word in WORD_END.split(name) if word]
