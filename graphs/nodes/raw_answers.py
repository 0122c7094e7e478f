"""Answers that are no words: a bare call of a tool, or what a tool gave, handed on as it came.

Pure. Calls that can be read are found by `models.output`; here are those that are left. What
becomes of such an answer is the `agent` node's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from models.output.call_candidates import MARKS
from models.output.call_parsing import ARGUMENT_KEYS, NAME_KEYS, WRAPPER_KEYS, Tools
from models.output.values import find_values

RawKind = Literal["call", "result"]

_MARKS = sorted({*MARKS, *(end for ends in MARKS.values() for end in ends)}, key=len, reverse=True)
_AROUND = re.compile("|".join([r"[\s,;]", r"```[\w-]*", *map(re.escape, _MARKS)]))
"""What may stand around values that are a whole answer."""
_BEGIN = re.compile(r"\s*(?:[{\[`]|" + "|".join(map(re.escape, MARKS)) + ")")


def find_raw(text: str, tool_values: Iterable[Any], tools: Tools) -> RawKind | None:
    """Tell whether an answer is nothing but a call, or what one of the tools has given.

    An answer with words around is neither, and so is JSON that nobody gave.
    """
    if not _BEGIN.match(text):
        return None
    if _is_marked(text):
        return "call"
    values, rest, end = [], "", 0
    for value in find_values(text, cut=False):
        values.append(value.value)
        rest, end = rest + text[end : value.start], value.end
    if not values or _AROUND.sub("", rest + text[end:]):
        return None
    results = [each for each in tool_values if isinstance(each, dict | list)]
    if all(any(_is_part(value, result) for result in results) for value in values):
        return "result"
    return "call" if all(_is_call(value, tools) for value in values) else None


def _is_marked(text: str) -> bool:
    """Tell whether a text is what a mark announces as a call, from its begin to its end."""
    text = text.strip()
    return any(text.startswith(mark) and text.endswith(ends or "]") for mark, ends in MARKS.items())


def _is_part(value: Any, result: Mapping[str, Any] | Sequence[Any]) -> bool:
    """Tell whether a value is a result, some fields of it, or one of the values in it."""
    if value == result:
        return True
    inner = result.values() if isinstance(result, Mapping) else result
    if isinstance(value, dict | list) and any(value == each for each in inner):
        return bool(value)
    if not isinstance(value, dict) or not isinstance(result, Mapping):
        return False
    return bool(value) and all(key in result and result[key] == value[key] for key in value)


def _is_call(value: Any, tools: Tools) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_is_call(each, tools) for each in value)
    if not isinstance(value, dict) or not value:
        return False
    names = [value[key] for key in NAME_KEYS if isinstance(value.get(key), str)]
    has_arguments = any(key in value for key in ARGUMENT_KEYS)
    if any(key in value for key in WRAPPER_KEYS) or (names and has_arguments):
        return True
    return any(name in tools for name in names) or any(
        value.keys() <= each for each in tools.values()
    )
