"""Which passage says what a sentence says that cites none, or none that says it. Pure.

Owns the citations that an answer is given. Each sentence is tried with each passage as if it cited
that one alone, by the rules of `support`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphs.grounding.support import Check, GroundingCheck, Similar


class SourceSearch:
    """The sentences without a source, against all passages; `texts` are to be embedded."""

    def __init__(self, checks: Sequence[Check], passages: Sequence[Mapping[str, Any]]) -> None:
        self._checks = checks
        self._numbers = [
            (position, number)
            for position, check in enumerate(checks)
            if check.verdict in ("uncited", "unsupported")
            for number in range(1, len(passages) + 1)
            if number not in check.claim.cited
        ]
        trials = [replace(checks[at].claim, cited=(number,)) for at, number in self._numbers]
        self._trials = GroundingCheck(trials, passages)

    @property
    def texts(self) -> Sequence[str]:
        return self._trials.texts

    def checks(self, similar: Similar | None = None) -> list[Check]:
        """Return all checks; those of sentences for which a passage was found are new.

        A sentence that could not be compared with all passages, and is in none of the others, is
        "unchecked".
        """
        trials: dict[int, list[tuple[Check, int]]] = {}
        tried = zip(self._numbers, self._trials.checks(similar), strict=True)
        for (position, number), trial in tried:
            trials.setdefault(position, []).append((trial, number))
        return [
            _judge(check, trials[position]) if position in trials else check
            for position, check in enumerate(self._checks)
        ]


def _judge(check: Check, trials: Sequence[tuple[Check, int]]) -> Check:
    best, number = max(trials, key=lambda trial: _rank(trial[0]))
    if best.good:
        claim = replace(check.claim, cited=(*check.claim.cited, number))
        return replace(best, claim=claim, added=number)
    if any(trial.verdict == "unchecked" for trial, _ in trials):
        return Check(check.claim, "unchecked")
    scores = [each.score for each in (check, best) if each.score is not None]
    return replace(check, score=max(scores, default=None))


def _rank(check: Check) -> tuple[bool, bool, float]:
    """Rank quotes first, then by the cosine, which sentences with the same words need not."""
    score = check.score if check.score is not None else float(check.good)
    return check.verdict == "quoted", check.good, score
