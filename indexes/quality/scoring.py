"""Asks an index its questions and scores what the reader answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from indexes.records import Passage

READ_PASSAGES = 8
"""How many passages the reader is given."""
LEAVE_OUT_OVERFETCH = 42
"""Passages looked at beyond those, where documents are left out."""


@dataclass(frozen=True, slots=True)
class ReaderAnswer:
    """What the reader would say, and how well it fits; nothing to read has the score 0."""

    text: str
    score: float


Ask = Callable[[str, Sequence[Passage]], Awaitable[ReaderAnswer]]
"""Answers a question from passages, whatever its score: the composition root hands it in."""

WriteQuestion = Callable[[Passage], Awaitable[str | None]]
"""Words a question that a passage answers, by a language model; None where there is none."""


@dataclass(frozen=True, slots=True)
class QuestionProgress:
    """How many of the questions have been asked."""

    done: int
    total: int


ReportProgress = Callable[[QuestionProgress], None]


async def answer_question(ask: Ask, question: str, passages: Sequence[Passage]) -> ReaderAnswer:
    """Answer a question from passages; without any the answer is empty and scores 0."""
    if not passages:
        return ReaderAnswer("", 0.0)
    return await ask(question, passages)
