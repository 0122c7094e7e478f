"""Weighing passages: whether they hold the answer to a question, and where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from models.backends import evidence
from models.backends.evidence import ENOUGH, Evidence
from models.capabilities import Vectors
from models.similarity import Similarity

EmbedTexts = Callable[[Sequence[str]], Awaitable[Vectors]]


async def weigh(
    question: str,
    passages: Sequence[Mapping[str, Any]],
    embed: EmbedTexts,
    enough: float = ENOUGH,
) -> Evidence | None:
    """The best window of sentences with its score, in one call of `embed`; None, without a call,
    where there is nothing to compare."""
    candidates = evidence.windows(passages)
    if not candidates or not question.strip():
        return None
    places = [evidence.place(passage) for passage in passages[: evidence.MAX_PASSAGES]]
    texts = [question, *places, *(window.text for window in candidates)]
    near = Similarity(await embed(texts)).near
    cosines = [near(0, other) for other in range(1, len(texts))]
    in_places, in_windows = cosines[: len(places)], cosines[len(places) :]
    return evidence.best(question, passages, candidates, in_windows, in_places, enough=enough)
