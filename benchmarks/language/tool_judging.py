"""Whether a model called the right tool with the right arguments and used what came back. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.language.judging import CALL_AS_TEXT


@dataclass(frozen=True, slots=True)
class ToolTask:
    """A task for one tool, with patterns for its arguments, its result and the answer."""

    prompt: str
    tool: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    result: str = ""
    answer: Sequence[str] = ()
    uses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A tool's call, and its result where it had one."""

    tool: str
    arguments: Mapping[str, Any]
    result: Any = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody made of a task. `error` is empty where an answer came."""

    calls: Sequence[Call]
    answer: str
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """What was right of an attempt."""

    tool: bool
    arguments: bool
    answer: bool
    raw: bool
    """Whether a call stands in the answer as text."""


def score(task: ToolTask, attempt: Attempt) -> Score:
    """Score an attempt. An answer counts only where it rests on the right call."""
    right = [call for call in attempt.calls if fits(task, call)]
    return Score(
        tool=any(call.tool == task.tool for call in attempt.calls),
        arguments=bool(right),
        answer=any(is_answered(task, call, attempt.answer) for call in right),
        raw=bool(CALL_AS_TEXT.search(attempt.answer)),
    )


def fits(task: ToolTask, call: Call) -> bool:
    """Tell whether a call is that of the task."""
    return (
        call.tool == task.tool
        and all(
            is_in(pattern, str(call.arguments.get(name, "")))
            for name, pattern in task.arguments.items()
        )
        and is_in(task.result, json.dumps(call.result, default=str))
    )


def is_answered(task: ToolTask, call: Call, answer: str) -> bool:
    """Tell whether an answer has what the task asks for, as the call's result says it."""
    result = call.result if isinstance(call.result, Mapping) else {}
    values = [str(result.get(name, "")) for name in task.uses]
    return (
        not CALL_AS_TEXT.search(answer)
        and all(is_in(pattern, answer) for pattern in task.answer)
        and all(value and value.lower() in answer.lower() for value in values)
    )


def is_in(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None
