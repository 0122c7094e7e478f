"""Chooses, from scored questions, the score from which an index holds the answer. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from config.errors import Invalid

MIN_QUESTIONS = 5
"""Of either sort: fewer tell nothing."""
MAX_CURVE_POINTS = 50
"""A curve has about so many."""


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """One question's score. `kind` is "answerable", or says how far it lies: near, far."""

    score: float
    kind: str

    @property
    def answerable(self) -> bool:
        return self.kind == "answerable"


@dataclass(frozen=True, slots=True)
class ThresholdEffect:
    """The shares of answerable questions answered, and of the others refused, at a threshold."""

    threshold: float
    answered: float
    refused: float


def choose_threshold(scored: Sequence[ScoredQuestion], refuse: float = 0.8) -> ThresholdEffect:
    """Choose the threshold that answers as many of the answerable questions as it can.

    It refuses at least the share `refuse` of each kind of unanswerable ones. Raises `Invalid`
    (`too_few_questions`) with fewer than five of either sort.
    """
    check_enough(scored)
    kinds = {each.kind for each in scored if not each.answerable}
    lowest = max(
        _lowest_refused([each.score for each in scored if each.kind == kind], refuse)
        for kind in kinds
    )
    return measure_threshold(scored, _midpoint_above(sorted(each.score for each in scored), lowest))


def measure_threshold(scored: Sequence[ScoredQuestion], threshold: float) -> ThresholdEffect:
    """Measure what a threshold does to these questions."""
    answered = [each.score >= threshold for each in scored if each.answerable]
    refused = [each.score < threshold for each in scored if not each.answerable]
    return ThresholdEffect(round(threshold, 4), _share(answered), _share(refused))


def measure_curve(scored: Sequence[ScoredQuestion]) -> list[ThresholdEffect]:
    """Measure thresholds from the lowest score to above the highest, about `MAX_CURVE_POINTS`."""
    scores = sorted({each.score for each in scored})
    if not scores:
        return []
    step = max(1, len(scores) // MAX_CURVE_POINTS)
    above = scores[-1] + 1e-4
    return [measure_threshold(scored, threshold) for threshold in [*scores[::step], above]]


def check_enough(scored: Sequence[ScoredQuestion]) -> None:
    """Raise `Invalid` (`too_few_questions`) where too few questions were asked to tell anything."""
    for answerable, what in ((True, "that the documents answer"), (False, "that they do not")):
        count = sum(each.answerable == answerable for each in scored)
        if count < MIN_QUESTIONS:
            raise Invalid(
                f"It takes {MIN_QUESTIONS} questions {what} at least, and there are {count}. Add "
                "some to the file, or index more documents.",
                code="too_few_questions",
                details={"field": "questions"},
            )


def _lowest_refused(scores: Sequence[float], refuse: float) -> float:
    """Return the highest score that must still be refused, for the share `refuse` of them."""
    ordered = sorted(scores)
    # -(-x // 1) rounds up; 1e-9 forgives 0.8 * 5 = 4.000000001.
    count = max(1, int(-(-(refuse * len(ordered) - 1e-9) // 1)))
    return ordered[count - 1]


def _midpoint_above(ordered: Sequence[float], score: float) -> float:
    """Return the score midway between one and the next one above it."""
    position = bisect_left(ordered, score)
    above = next((each for each in ordered[position:] if each > score), score + 0.02)
    return (score + above) / 2


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
