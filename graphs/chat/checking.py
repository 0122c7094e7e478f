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
from graphs.grounding.attribution import SourceSearch
from graphs.grounding.citations import (
    CheckedAnswer,
    Unsupported,
    cite_claims,
    cite_quotes,
    remove_invented_markers,
)
from graphs.grounding.claims import Claim, split_claims
from graphs.grounding.fallback import fall_back, lacks_source, repeats_question
from graphs.grounding.support import Check, GroundingCheck, Similar
from models.backends.reader.evidence import ENOUGH, NO_EVIDENCE, Evidence
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
    question: Mapping[str, Any] | None = None,
    uncited: bool = True,
) -> CheckedAnswer:
    """Remove invented markers, compare each sentence with its cited passages, emit the outcome.

    With the mode "keep" nothing is compared. `spans` are parts of the passages that the model
    itself gave: such an answer is a quote, checked without an embedder. Without `uncited`,
    sentences that cite nothing are passed over. An answer none of whose sentences has a source is
    given sources. Where there are none, or it only repeats the `question`, it becomes what
    `grounding.fallback` says.
    """
    if spans is not None:
        answer = cite_quotes(text, passages, spans)
    else:
        cleaned, invented, claims = await _beside_loop(text, _split, text, len(passages), uncited)
        checks = (
            [Check(claim, "plain") for claim in claims]
            if mode == "keep"
            else await _find_sources(text, claims, passages, context)
        )
        answer = await _beside_loop(text, cite_claims, cleaned, checks, passages, mode, invented)
        if mode != "keep" and question and _says_nothing(checks, question):
            answer = await _fall_back(answer, checks, question, context)
    _emit(answer, text, context)
    return answer


async def _beside_loop(text: str, work: Callable[..., Result], *arguments: Any) -> Result:
    """Do work that grows with an answer: in a thread where it takes more than some milliseconds."""
    if len(text) <= LONG_CHARS:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def _split(text: str, passages: int, uncited: bool) -> tuple[str, list[int], list[Claim]]:
    cleaned, invented = remove_invented_markers(text, passages)
    return cleaned, invented, [_excuse(each, uncited) for each in split_claims(cleaned, passages)]


async def _find_sources(
    text: str, claims: Sequence[Claim], passages: Sequence[Mapping[str, Any]], context: NodeContext
) -> list[Check]:
    """Compare sentences with the passages that they cite; where none is good, with all others."""
    check = await _beside_loop(text, GroundingCheck, claims, passages)
    checks = await _beside_loop(text, check.checks, await _similarity(check.texts, context))
    if not lacks_source(checks):
        return checks
    # Each sentence is compared with each passage, so also a short answer is long work.
    search = await asyncio.to_thread(SourceSearch, checks, passages)
    return await asyncio.to_thread(search.checks, await _similarity(search.texts, context))


def _says_nothing(checks: Sequence[Check], question: Mapping[str, Any]) -> bool:
    return lacks_source(checks) or repeats_question(checks, str(question["question"]))


async def _fall_back(
    answer: CheckedAnswer,
    checks: Sequence[Check],
    question: Mapping[str, Any],
    context: NodeContext,
) -> CheckedAnswer:
    evidence = await _weigh(question, context)
    if evidence is None:
        return answer
    is_question = bool(question["is_question"])
    return fall_back(answer, checks, question["passages"], evidence, is_question=is_question)


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
    best = await _weigh(evidence, context)
    if best is None:
        return None
    score = best.score
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


async def _weigh(question: Mapping[str, Any], context: NodeContext) -> Evidence | None:
    """Weigh passages against the question as the embedded reader does; None without an embedder."""

    async def embed(texts: Sequence[str]) -> Vectors:
        return await _embed(texts, context)

    enough = float(question.get("threshold", ENOUGH))
    try:
        best = await weigh(str(question["question"]), question["passages"], embed, enough)
    except MotetError as error:
        log.debug("run %s: passages not scored: %s", context.run.run_id, error)
        return None
    return best or NO_EVIDENCE


async def _embed(texts: Sequence[str], context: NodeContext) -> Vectors:
    models, tenant = context.run.models, context.run.tenant
    async with models.lease(EMBEDDER, "embed", tenant=tenant) as lease:
        # A person waits for this answer: its few texts go before an ingest's many.
        return await lease.embed.embed(texts, urgent=True)


async def _similarity(texts: Sequence[str], context: NodeContext) -> Similar | None:
    """Return the cosines between texts; None, with a warning, where no embedder can be had.

    Quotes need no vectors: most answers load no embedder.
    """
    if not texts:
        return None
    try:
        return Similarity(await _embed(texts, context)).near
    except MotetError as error:
        context.emit(
            "warning",
            code="answer_unchecked",
            message=f"The answer could not be compared with its sources: {error.public_message}",
        )
        return None


def _emit(answer: CheckedAnswer, written: str, context: NodeContext) -> None:
    if answer.invented:
        numbers = ", ".join(map(str, answer.invented))
        context.emit(
            "warning",
            code="citation_unknown",
            message=f"The answer cites passages that were not given: {numbers}.",
        )
    if answer.quoted:
        context.emit(
            "warning",
            code="answer_quoted",
            message="No passage says what the model wrote, or the question says it too: the "
            "sentences that fit the question best are quoted.",
            score=answer.score,
        )
    changed = answer.text != written
    if changed or answer.citations or answer.invented or answer.removed or answer.unsupported:
        context.emit(
            "citation",
            citations=answer.citations,
            invented=answer.invented,
            unsupported=answer.unsupported,
            removed=answer.removed,
            added=answer.added,
            text=answer.text if changed else None,
        )
