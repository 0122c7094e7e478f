"""Asking an index its questions and scoring what the reader answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from indexes.records import Passage

LIMIT = 8
SPARE = 42
"""Looked at beyond the limit, where documents are left out."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the reader would say, and how well it fits; nothing to read has the score 0."""

    text: str
    score: float


Ask = Callable[[str, Sequence[Passage]], Awaitable[Answered]]
"""Answers a question from passages, whatever its score: the composition root hands it in."""

Write = Callable[[Passage], Awaitable[str | None]]
"""A question that a passage answers, by a language model; None where there is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How many of the questions have been asked."""

    done: int
    total: int


Tell = Callable[[Asked], None]


async def answered(ask: Ask, question: str, passages: Sequence[Passage]) -> Answered:
    if not passages:
        return Answered("", 0.0)
    return await ask(question, passages)
