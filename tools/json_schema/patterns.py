"""Regular expressions of schemas, matched in linear time.

Owns which patterns a schema may hold. They are matched by the engine of pydantic-core (Rust's
`regex`), which never looks at a character twice for one state of the pattern; in return it has no
look-around and no references back. Python's `re` is never given a pattern that came from outside.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, ValidationError

MAX_PATTERN_CHARS = 1000
MAX_WEIGHT = 10_000
"""States of the pattern, roughly: a character weighs 1, a class of many characters `CLASS_WEIGHT`,
and a repetition with a count as much as all its turns."""
CLASS_WEIGHT = 16
CHARS_PER_STEP = 1000
"""A match touches about so many pairs of a character and a state in the time of one step."""

_TOKEN = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|.", re.S)


class Pattern:
    """A compiled pattern. Raises `ValueError` where it is none, or one that costs too much."""

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN_CHARS:
            raise ValueError(f"a pattern has at most {MAX_PATTERN_CHARS} characters")
        self._weight = weigh(source)
        if self._weight > MAX_WEIGHT:
            raise ValueError("the counts of its repetitions are too large")
        try:
            self._matcher = SchemaValidator({"type": "str", "pattern": source, "strict": True})
        except SchemaError as error:
            last = str(error).strip().splitlines()[-1].strip()
            raise ValueError(f"{last.removeprefix('error: ')}") from error

    def steps(self, text: str) -> int:
        """Return how much work it is to search a text, in steps of a check."""
        return 1 + len(text) * self._weight // CHARS_PER_STEP

    def matches(self, text: str) -> bool:
        """Tell whether the pattern is found anywhere in the text."""
        try:
            self._matcher.validate_python(text)
        except ValidationError:
            return False
        return True


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Pattern:
    """Compile a pattern, or return it as it was compiled before. Raises `ValueError`."""
    return Pattern(source)


def weigh(source: str) -> int:
    """Estimate how many states a pattern has, with every counted repetition written out."""
    # The weights of the groups that are open, each with that of what a count would repeat.
    totals, last = [0], 0
    for token in _TOKEN.finditer(source):
        text = token[0]
        if text == "(":
            totals.append(0)
            last = 0
        elif text == ")" and len(totals) > 1:
            last = totals.pop()
            totals[-1] += last
        elif token[1]:
            turns = max(int(token[1][:9]), int((token[2] or "0")[:9]))
            totals[-1] += last * max(turns - 1, 0)
            last *= max(turns, 1)
        else:
            last = CLASS_WEIGHT if len(text) > 1 else 1
            totals[-1] += last
    return sum(totals)
