"""Bounds on what one step of a user's graph hands to LangGraph at once: questions and `Send`s.

LangGraph copies the questions and prepares the pieces of work without a pause, so that many of them
hold up everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.types import Command, Interrupt, Send

from config.errors import Invalid
from config.json_values import has_more_values

MAX_SENDS = 1_000
MAX_QUESTION_VALUES = 20_000


def check_sends(result: Any) -> None:
    """Check how many pieces of work a node or router asks for. Raises `Invalid` (`too_large`)."""
    count = sum(map(_count_sends, result if isinstance(result, list | tuple) else [result]))
    if count > MAX_SENDS:
        raise Invalid(
            f"{count} `Send`s come from one step; at most {MAX_SENDS} run at once. Let each take "
            "several items.",
            code="too_large",
        )


def check_question(question: Any) -> None:
    """Check the size of what a person is asked. Raises `Invalid` (`too_large`)."""
    if has_more_values(question, MAX_QUESTION_VALUES):
        raise Invalid(
            f"A question holds at most {MAX_QUESTION_VALUES} values: show a part of them, or a "
            "text.",
            code="too_large",
            details={"field": "show"},
        )


def check_questions(questions: Sequence[Interrupt]) -> None:
    """Check all that a step asks. Raises `Invalid` (`too_large`)."""
    for each in questions:
        check_question(each.value)


def _count_sends(part: Any) -> int:
    if isinstance(part, Command):
        goto = part.goto
        return sum(map(_count_sends, goto)) if isinstance(goto, list | tuple) else 1
    return isinstance(part, Send)
