"""Checking an answer within a run: embeds what must be compared, and emits what came of it.

Owns the lease of the embedder and the events `citation` and `warning`. What is compared with what,
and what follows from it, is decided by the pure functions of `graphs.grounding`. Invariant: an
embedder that cannot be had never fails an answer; its sentences are then `unchecked`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from config.errors import MotetError
from graphs.compile.node import NodeContext
from graphs.grounding.citations import (
    CheckedAnswer,
    Unsupported,
    cite_claims,
    cite_quotes,
    remove_invented_markers,
)
from graphs.grounding.claims import Claim, split_claims
from graphs.grounding.support import Check, GroundingCheck, Similar
from models.backends.reader.weighing import weigh
from models.capabilities import Vectors
from models.similarity import Similarity

log = logging.getLogger(__name__)

EMBEDDER = "embed"
"""The role of the model that compares sentences."""
LONG_CHARS = 4000
"""Of an answer: its sentences are checked in about 5 ms."""

Result = TypeVar("Result")


async def check_answer(
    text: str,
    passages: Sequence[Mapping[str, Any]],
    spans: Sequence[Mapping[str, Any]] | None,
    mode: Unsupported,
    context: NodeContext,
    *,
    uncited: bool = True,
) -> CheckedAnswer:
    """Remove invented markers, compare each sentence with its cited passages, emit the outcome.

    With the mode "keep" nothing is compared. `spans` are parts of the passages that the model
    itself gave: such an answer is a quote, checked without an embedder. Without `uncited`,
    sentences that cite nothing are passed over.
    """
    if spans is not None:
        answer = cite_quotes(text, passages, spans)
    else:
        cleaned, invented, claims = await _beside_loop(text, _split, text, len(passages), uncited)
        checks = (
            [Check(claim, "plain") for claim in claims]
            if mode == "keep"
            else await _compare(text, claims, passages, context)
        )
        answer = await _beside_loop(text, cite_claims, cleaned, checks, passages, mode, invented)
    _emit(answer, context)
    return answer


async def _beside_loop(text: str, work: Callable[..., Result], *arguments: Any) -> Result:
    """Do work that grows with an answer: in a thread where it takes more than some milliseconds."""
    if len(text) <= LONG_CHARS:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def _split(text: str, passages: int, uncited: bool) -> tuple[str, list[int], list[Claim]]:
    cleaned, invented = remove_invented_markers(text, passages)
    return cleaned, invented, [_excuse(each, uncited) for each in split_claims(cleaned, passages)]


async def _compare(
    text: str, claims: Sequence[Claim], passages: Sequence[Mapping[str, Any]], context: NodeContext
) -> list[Check]:
    check = await _beside_loop(text, GroundingCheck, claims, passages)
    # Quotes need no vectors: most answers of the embedded reader load no embedder.
    similar = await _similarity(check.texts, context) if check.texts else None
    return await _beside_loop(text, check.checks, similar)


def _excuse(claim: Claim, uncited: bool) -> Claim:
    if uncited or claim.cited:
        return claim
    return Claim(claim.start, claim.end, claim.text, claim.cited, asserts=False)


async def score_passages(evidence: Mapping[str, Any] | None, context: NodeContext) -> float | None:
    """Score how well the passages that a language model answered from fit the question.

    None where their indexes have no threshold to compare the score with, or no embedder can be
    had. Readers get a warning (`weak_evidence`) where the score is below the threshold.
    """
    if evidence is None or evidence.get("threshold") is None:
        return None

    async def embed(texts: Sequence[str]) -> Vectors:
        return await _embed(texts, context)

    try:
        best = await weigh(str(evidence["question"]), evidence["passages"], embed)
    except MotetError as error:
        log.debug("run %s: passages not scored: %s", context.run.run_id, error)
        return None
    score = best.score if best else 0.0
    if score < evidence["threshold"]:
        context.emit(
            "warning",
            code="weak_evidence",
            message="The passages fit the question less than this index's threshold asks for: "
            "they may not hold the answer.",
            score=round(score, 4),
            threshold=evidence["threshold"],
        )
    return round(score, 4)


async def _embed(texts: Sequence[str], context: NodeContext) -> Vectors:
    models, tenant = context.run.models, context.run.tenant
    async with models.lease(EMBEDDER, "embed", tenant=tenant) as lease:
        # A person waits for this answer: its few texts go before an ingest's many.
        return await lease.embed.embed(texts, urgent=True)


async def _similarity(texts: Sequence[str], context: NodeContext) -> Similar | None:
    """Return the cosines between texts; None, with a warning, where no embedder can be had."""
    try:
        return Similarity(await _embed(texts, context)).near
    except MotetError as error:
        context.emit(
            "warning",
            code="answer_unchecked",
            message=f"The answer could not be compared with its sources: {error.public_message}",
        )
        return None


def _emit(answer: CheckedAnswer, context: NodeContext) -> None:
    if answer.invented:
        numbers = ", ".join(map(str, answer.invented))
        context.emit(
            "warning",
            code="citation_unknown",
            message=f"The answer cites passages that were not given: {numbers}.",
        )
    if answer.citations or answer.invented or answer.removed or answer.unsupported:
        context.emit(
            "citation",
            citations=answer.citations,
            invented=answer.invented,
            unsupported=answer.unsupported,
            removed=answer.removed,
        )
