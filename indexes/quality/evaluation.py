"""Measures how well an index finds and answers, by questions whose answers are known.

Recall and answers found are shares over the first `k` passages; MRR is the mean of 1 / rank of the
first passage of a document meant, 0 where none is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from indexes.index import Index
from indexes.quality.questions import Question
from indexes.quality.scoring import (
    READ_PASSAGES,
    Ask,
    QuestionProgress,
    ReaderAnswer,
    ReportProgress,
    answer_question,
)
from indexes.quality.searching import search_whole
from indexes.records import Passage

CURVE_STEPS = 40
"""About so many points a curve has."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    `rank` is that of the first passage of a document meant, `holds` that of the first with an
    answer in it, both from 1; None: not among those found. `right` is None where the question tells
    no answer to compare with.
    """

    question: str
    kind: str
    rank: int | None
    holds: int | None
    said: str
    score: float
    right: bool | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Shares of the questions of each sort at a threshold."""

    threshold: float
    right: float
    wrong: float
    refused: float
    refused_near: float | None
    refused_far: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """The measures of an index.

    `reader` is what a threshold of `threshold` makes of the answers; None stands for what no
    question asked about.
    """

    index: str
    k: int
    questions: Mapping[str, int]
    recall: float | None
    mrr: float | None
    answer_found: float | None
    threshold: float
    reader: Mapping[str, int]
    refused: Mapping[str, float]
    curve: Sequence[CurvePoint]
    outcomes: Sequence[Outcome]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def evaluate(
    index: Index,
    ask: Ask,
    questions: Sequence[Question],
    *,
    default_threshold: float,
    k: int = 10,
    report_progress: ReportProgress = lambda progress: None,
) -> Report:
    """Ask every question and measure what came of it.

    Recall and the others are over the first `k` passages; the reader is given the first eight.
    Counts with the index's own threshold, else `default_threshold`. Takes a search and an answer
    for each question, one after the other.
    """
    stored = await index.get_threshold()
    threshold = stored.value if stored else default_threshold
    outcomes = []
    for number, question in enumerate(questions, start=1):
        passages = await search_whole(index, question.question, max(k, READ_PASSAGES))
        answer = await answer_question(ask, question.question, passages[:READ_PASSAGES])
        outcomes.append(_build_outcome(question, passages[:k], answer))
        report_progress(QuestionProgress(number, len(questions)))
    return build_report(index.name, k, questions, outcomes, threshold)


def build_report(
    name: str, k: int, questions: Sequence[Question], outcomes: Sequence[Outcome], threshold: float
) -> Report:
    """Measure these outcomes, which stand in the order of the questions."""
    pairs = list(zip(questions, outcomes, strict=True))
    with_source = [outcome for question, outcome in pairs if question.source]
    with_answer = [outcome for question, outcome in pairs if question.answer]
    kinds = sorted({outcome.kind for outcome in outcomes})
    return Report(
        index=name,
        k=k,
        questions={kind: sum(each.kind == kind for each in outcomes) for kind in kinds},
        recall=_share([each.rank is not None for each in with_source]),
        mrr=_mean([1 / each.rank if each.rank else 0.0 for each in with_source]),
        answer_found=_share([each.holds is not None for each in with_answer]),
        threshold=threshold,
        reader=_count_outcomes(outcomes, threshold),
        refused={
            kind: _share_refused(outcomes, kind, threshold) or 0.0
            for kind in kinds
            if kind != "answerable"
        },
        curve=measure_outcomes(outcomes),
        outcomes=outcomes,
    )


def measure_outcomes(outcomes: Sequence[Outcome]) -> list[CurvePoint]:
    """Measure thresholds from the lowest score to above the highest on the same answers."""
    scores = sorted({each.score for each in outcomes})
    if not scores:
        return []
    thresholds = [*scores[:: max(1, len(scores) // CURVE_STEPS)], scores[-1] + 1e-4]
    return [_measure_point(outcomes, threshold) for threshold in thresholds]


def _measure_point(outcomes: Sequence[Outcome], threshold: float) -> CurvePoint:
    counts = _count_outcomes(outcomes, threshold)
    total = max(1, sum(each.kind == "answerable" for each in outcomes))
    return CurvePoint(
        round(threshold, 4),
        round(counts["right"] / total, 4),
        round(counts["wrong"] / total, 4),
        round(counts["refused"] / total, 4),
        _share_refused(outcomes, "near", threshold),
        _share_refused(outcomes, "far", threshold),
    )


def _count_outcomes(outcomes: Sequence[Outcome], threshold: float) -> dict[str, int]:
    """Count what became of the answerable questions.

    `unjudged` were answered, and the question does not tell what is right.
    """
    counts = {"right": 0, "wrong": 0, "refused": 0, "unjudged": 0}
    for each in outcomes:
        if each.kind == "answerable":
            verdict = {True: "right", False: "wrong", None: "unjudged"}[each.right]
            counts["refused" if each.score < threshold else verdict] += 1
    return counts


def _build_outcome(
    question: Question, passages: Sequence[Passage], answer: ReaderAnswer
) -> Outcome:
    return Outcome(
        question=question.question,
        kind=question.kind,
        rank=_first_rank([_is_meant(question, passage) for passage in passages]),
        holds=_first_rank([question.answered_by(passage.text) for passage in passages]),
        said=answer.text,
        score=round(answer.score, 4),
        right=question.answered_by(answer.text) if question.answer else None,
    )


def _is_meant(question: Question, passage: Passage) -> bool:
    """Tell whether a passage, or one of the same words, stands in a document meant."""
    return any(
        question.found_in(source) for source in (passage.source, *(c.source for c in passage.also))
    )


def _first_rank(values: Sequence[bool]) -> int | None:
    return values.index(True) + 1 if True in values else None


def _share_refused(outcomes: Sequence[Outcome], kind: str, threshold: float) -> float | None:
    return _share([each.score < threshold for each in outcomes if each.kind == kind])


def _share(values: Sequence[bool]) -> float | None:
    return _mean([float(value) for value in values])


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
