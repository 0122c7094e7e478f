"""Checking an answer against what it cites: with the embedder where words alone do not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import MotetError
from graphs.compile.node import NodeContext
from graphs.grounding.citations import Cited, Unsupported, cited, quoted, without_invented
from graphs.grounding.claims import Claim, claims
from graphs.grounding.support import Check, GroundingCheck, Near
from models.backends.reader.weighing import weigh
from models.capabilities import Vectors
from models.similarity import Similarity

EMBEDDER = "embed"


async def checked(
    text: str,
    passages: Sequence[Mapping[str, Any]],
    spans: Sequence[Mapping[str, Any]] | None,
    mode: Unsupported,
    call: NodeContext,
    *,
    uncited: bool = True,
) -> Cited:
    """The answer without invented markers, each sentence compared with the passages it cites.

    With the mode "keep" they are not compared. `spans` are places that the model itself told:
    such an answer is a quote, checked at no cost. Without `uncited`, sentences that cite nothing
    are let be. Tells the run's readers.
    """
    if spans is not None:
        answer = quoted(text, passages, spans)
    else:
        cleaned, invented = without_invented(text, len(passages))
        found = [_let_be(claim, uncited) for claim in claims(cleaned, len(passages))]
        checks = await _compared(found, passages, call) if mode != "keep" else _unread(found)
        answer = cited(cleaned, checks, passages, mode, invented)
    _tell(answer, call)
    return answer


async def _compared(
    found: Sequence[Claim], passages: Sequence[Mapping[str, Any]], call: NodeContext
) -> list[Check]:
    comparison = GroundingCheck(found, passages)
    return comparison.checks(await _near(comparison.texts, call) if comparison.texts else None)


def _unread(found: Sequence[Claim]) -> list[Check]:
    return [Check(claim, "plain") for claim in found]


def _let_be(claim: Claim, uncited: bool) -> Claim:
    if uncited or claim.cited:
        return claim
    return Claim(claim.start, claim.end, claim.text, claim.cited, asserts=False)


async def weighed(given: Mapping[str, Any] | None, call: NodeContext) -> float | None:
    """How well the passages that a language model answered from fit the question; None where
    their indexes have no threshold to compare that with. Tells where they fit too little."""
    if given is None or given.get("threshold") is None:
        return None

    async def embed(texts: Sequence[str]) -> Vectors:
        return await _vectors(texts, call)

    try:
        found = await weigh(str(given["question"]), given["passages"], embed)
    except MotetError:
        return None
    score = found.score if found else 0.0
    if score < given["threshold"]:
        call.emit(
            "warning",
            code="weak_evidence",
            message="The passages fit the question less than this index's threshold asks for: "
            "they may not hold the answer.",
            score=round(score, 4),
            threshold=given["threshold"],
        )
    return round(score, 4)


async def _vectors(texts: Sequence[str], call: NodeContext) -> Vectors:
    lease = call.context.models.lease(EMBEDDER, "embed", tenant=call.context.tenant)
    async with lease as held:
        return await held.embed.embed(texts, urgent=True)


async def _near(texts: Sequence[str], call: NodeContext) -> Near | None:
    """Cosines between texts; None where no embedder can be had, which readers are told."""
    try:
        return Similarity(await _vectors(texts, call)).near
    except MotetError as error:
        call.emit(
            "warning",
            code="answer_unchecked",
            message=f"The answer could not be compared with its sources: {error.message}",
        )
        return None


def _tell(answer: Cited, call: NodeContext) -> None:
    if answer.invented:
        numbers = ", ".join(map(str, answer.invented))
        call.emit(
            "warning",
            code="citation_unknown",
            message=f"The answer cites passages that were not given: {numbers}.",
        )
    if answer.citations or answer.invented or answer.removed or answer.unsupported:
        call.emit(
            "citation",
            citations=answer.citations,
            invented=answer.invented,
            unsupported=answer.unsupported,
            removed=answer.removed,
        )
