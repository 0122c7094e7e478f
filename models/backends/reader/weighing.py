"""Weighing passages: whether they hold the answer to a question, and where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from models.backends.reader import evidence
from models.backends.reader.evidence import ENOUGH, Evidence
from models.capabilities import Vectors
from models.similarity import Similarity

EmbedTexts = Callable[[Sequence[str]], Awaitable[Vectors]]


async def weigh(
    question: str,
    passages: Sequence[Mapping[str, Any]],
    embed: EmbedTexts,
    enough: float = ENOUGH,
) -> Evidence | None:
    """Find the best windows of sentences; None where there is nothing to compare.

    Passages out of a search know their windows and cosines; for others, one call of `embed`.
    """
    if not question.strip():
        return None
    candidates, cosines = evidence.quoted(passages)
    if not candidates and (candidates := evidence.windows(passages)):
        texts = [question, *(window.text for window in candidates)]
        near = Similarity(await embed(texts)).near
        cosines = [near(0, other) for other in range(1, len(texts))]
    return evidence.best(question, passages, candidates, cosines, enough=enough)
