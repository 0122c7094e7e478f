"""The work of templates, counted: how much they may do, and how much a value is to look at.

A step is about 0.1 µs of one core: an item of a list, a part of an expression, `CHARS_PER_STEP`
characters of text that are copied or compared. Slower work spends more steps for as much.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from langchain_core.messages import BaseMessage

from config.steps import STEPS, TooManySteps, spend

CHARS_PER_STEP = 64
STEPS_ON_LOOP = 10_000
"""About a millisecond; templates that take more are evaluated anew in a thread."""
MAX_STEPS = 15_000_000
"""Of one evaluation, about a second: the longest text can be cut into chapters."""
MAX_STEPS_AT_ONCE = 500_000
"""Of one operation: while it lasts, no other thread has the interpreter."""
ITEM_STEPS = 10
"""For handling an item in Python, beside what is done with it."""
END_MARKS = ".!?…。！？"
SENTENCE_STEPS = 50
PROSE_RATE = 20
"""Of looking for the end marks of sentences, beside copying the text."""

SIZED = (list, tuple, dict, set, frozenset, KeysView, ValuesView, ItemsView)
"""What holds items, beside texts and ranges."""


def spend_at_once(count: int) -> None:
    """Count one operation of Python's own that takes more than a pass over its values."""
    if STEPS.get(None) is not None and count > MAX_STEPS_AT_ONCE:
        raise TooManySteps
    spend(count)


def measure(*values: Any) -> int:
    """Return how many steps it takes to look at all that values hold, and spend them.

    Parts that lists share count each time: whoever follows them meets them each time.
    """
    total, pending = 0, list(values)
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            total += 1 + len(item) // CHARS_PER_STEP
        elif isinstance(item, SIZED):
            # Spent for its items too: there are no more of these than was spent.
            spend(1 + len(item))
            total += 1 + len(item)
            if isinstance(item, dict):
                pending += item.values()
            pending += item
        elif isinstance(item, BaseMessage):
            pending.append(item.content)
        else:
            total += len(item) if isinstance(item, range) else 1
    spend(total)
    return total


def count_prose(text: str) -> None:
    """Spend the steps of finding where the sentences of a text end."""
    marks = sum(map(text.count, END_MARKS))
    spend(marks * SENTENCE_STEPS + text.count("\n") * ITEM_STEPS)
    count_chars(text, PROSE_RATE)


def count_chars(text: str, rate: int = 1) -> None:
    """Spend the steps of a pass over a text that takes `rate` times as long as copying it."""
    spend(1 + len(text) * rate // CHARS_PER_STEP)


def count_items(items: Iterator[Any], steps: int = ITEM_STEPS) -> Iterator[Any]:
    """Yield items, spending steps for each as it is taken."""
    for item in items:
        spend(steps)
        yield item
