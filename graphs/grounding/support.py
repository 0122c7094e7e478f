"""Whether the passages that an answer cites say what it says. Pure; vectors are handed in.

Owns the verdict on each claim. The cases, in the order in which they are tried:

1. `plain`: it asserts nothing. `uncited`: it asserts something and cites nothing.
2. `quoted`: it stands in a cited passage word for word.
3. `unsupported`: one of its facts (numbers, names) is in no cited passage.
4. `supported`: nearly all its words stand together in one window of a passage.
5. `unsupported`: no window of a passage says yes where it says yes, and no where it says no.
6. `supported` or `unsupported` by the best cosine with such a window; `unchecked` without vectors.

Only case 6 needs an embedder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from graphs.grounding.claims import Claim
from graphs.grounding.facts import SourceText, missing_facts
from graphs.grounding.quotes import NormalizedText
from graphs.grounding.stopwords import content_words, is_negated
from models.text.sentences import split_sentences

Verdict = Literal["quoted", "supported", "unsupported", "uncited", "unchecked", "plain"]
Similar = Callable[[int, int], float]
"""The cosine of two of `GroundingCheck.texts`, by their numbers."""

MIN_COSINE = 0.65
"""From it on, a sentence says what its source says. How well that parts true from false was
measured: `docs/decisions/0010-checked-answers.md`."""
MIN_COVERAGE = 0.9
"""The share of a sentence's content words with which a window is nearly its quote."""
MAX_CLAIMS = 100
"""Of one answer; later ones are `unchecked`."""
MAX_SENTENCES = 60
"""Of one passage that are compared."""
MAX_TEXTS = 400
"""To be embedded for one answer; claims beyond them are `unchecked`."""
GOOD: frozenset[Verdict] = frozenset(("quoted", "supported"))


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """A span in a passage's text; passages are counted from 1."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on a claim: where its passages say it, or which of its facts they lack.

    `score` is the best cosine, where one was needed. `added` is the passage that the claim itself
    does not cite, and that was found to say it.
    """

    claim: Claim
    verdict: Verdict
    spans: tuple[PassageSpan, ...] = ()
    score: float | None = None
    missing: tuple[str, ...] = ()
    added: int | None = None

    @property
    def good(self) -> bool:
        return self.verdict in GOOD


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A claim that takes vectors: row of its own text, and each window with its row."""

    row: int
    windows: tuple[tuple[PassageSpan, int], ...]


class GroundingCheck:
    """An answer's sentences against the passages that they cite.

    `texts` are to be embedded; the list is empty where no claim needs vectors. `checks` then
    returns the verdicts, one for each claim in order.
    """

    def __init__(self, claims: Sequence[Claim], passages: Sequence[Mapping[str, Any]]) -> None:
        self._claims = claims
        self._passages = [_PassageText(n, passage) for n, passage in enumerate(passages, 1)]
        self.texts: list[str] = []
        self._rows: dict[PassageSpan | str, int] = {}
        self._checks: dict[int, Check] = {}
        self._comparisons: dict[int, _Comparison] = {}
        for number, claim in enumerate(claims):
            check = self._check_words(claim) if number < MAX_CLAIMS else Check(claim, "unchecked")
            if check is None and not self._add_comparison(number, claim):
                check = Check(claim, "unchecked")
            if check is not None:
                self._checks[number] = check

    def checks(self, similar: Similar | None = None) -> list[Check]:
        """Return the verdict on every claim. Without cosines, some are "unchecked"."""
        return [
            self._checks.get(number) or self._check_cosines(number, claim, similar)
            for number, claim in enumerate(self._claims)
        ]

    def _check_words(self, claim: Claim) -> Check | None:
        """Return the verdict that needs no vectors, if there is one."""
        if not claim.asserts:
            return Check(claim, "plain")  # (1)
        if not claim.cited:
            return Check(claim, "uncited")
        passages = [self._passages[number - 1] for number in claim.cited]
        if quotes := [span for each in passages if (span := each.find_quote(claim.text))]:
            return Check(claim, "quoted", tuple(quotes))  # (2)
        source = SourceText.of("\n".join(each.whole for each in passages))
        if missing := missing_facts(claim.text, source):
            return Check(claim, "unsupported", missing=tuple(missing))  # (3)
        if covering := [span for each in passages if (span := each.find_covering(claim.text))]:
            return Check(claim, "supported", tuple(covering))  # (4)
        if not any(each.agreeing_windows(claim.text) for each in passages):
            return Check(claim, "unsupported")  # (5)
        return None

    def _add_comparison(self, number: int, claim: Claim) -> bool:
        """Add the texts that a claim is compared by; False where there are too many already."""
        if len(self.texts) >= MAX_TEXTS:
            return False
        row = self._row(claim.text, claim.text)
        windows = []
        for cited in claim.cited:
            passage = self._passages[cited - 1]
            agreeing = passage.agreeing_windows(claim.text)
            windows += [
                (span, self._row(span, passage.text[span.start : span.end])) for span in agreeing
            ]
        self._comparisons[number] = _Comparison(row, tuple(windows))
        return True

    def _row(self, key: PassageSpan | str, text: str) -> int:
        """Return the row of a text; several claims share that of a window."""
        if key not in self._rows:
            self._rows[key] = len(self.texts)
            self.texts.append(text)
        return self._rows[key]

    def _check_cosines(self, number: int, claim: Claim, similar: Similar | None) -> Check:
        """Return the verdict by the best window of each cited passage (6)."""
        if similar is None:
            return Check(claim, "unchecked")
        comparison = self._comparisons[number]
        best: dict[int, tuple[float, PassageSpan]] = {}
        for span, row in comparison.windows:
            score = similar(comparison.row, row)
            if span.passage not in best or score > best[span.passage][0]:
                best[span.passage] = score, span
        top = max(score for score, _ in best.values())
        spans = tuple(span for score, span in best.values() if score >= MIN_COSINE)
        return Check(claim, "supported" if spans else "unsupported", spans, round(top, 4))


class _PassageText:
    """A passage as it is compared with; each view of it is made once, when it is needed."""

    def __init__(self, number: int, passage: Mapping[str, Any]) -> None:
        self.number = number
        self.text = str(passage.get("text") or "")
        headings = [str(passage.get("title") or ""), *map(str, passage.get("heading") or ())]
        self.whole = "\n".join([*headings, self.text])
        """With title and headings, which may name what the text itself calls "it"."""

    def find_quote(self, text: str) -> PassageSpan | None:
        """Find a sentence word for word."""
        span = self._normalized.find(text)
        return PassageSpan(self.number, *span) if span else None

    def find_covering(self, text: str) -> PassageSpan | None:
        """Find the window that has nearly all content words of a sentence, in whatever order."""
        sought = set(content_words(text))
        if len(sought) < 2:
            return None
        for span, words in self._words:
            if len(sought & words) >= MIN_COVERAGE * len(sought) and self._agrees(text, span):
                return span
        return None

    def agreeing_windows(self, text: str) -> list[PassageSpan]:
        """Return the windows that a sentence may be compared with."""
        return [span for span in self.windows if self._agrees(text, span)]

    def _agrees(self, text: str, span: PassageSpan) -> bool:
        """Tell whether a window does not say the opposite: cosines hardly see a "not"."""
        claim, window = is_negated(text), is_negated(self.text[span.start : span.end])
        return claim is None or window is None or claim == window

    @cached_property
    def windows(self) -> list[PassageSpan]:
        """Single sentences first, then two that stand together."""
        parts = [each for each in split_sentences(self.text) if not each.heading][:MAX_SENTENCES]
        return [
            *(PassageSpan(self.number, each.start, each.end) for each in parts),
            *(PassageSpan(self.number, one.start, two.end) for one, two in pairwise(parts)),
        ]

    @cached_property
    def _normalized(self) -> NormalizedText:
        return NormalizedText.of(self.text)

    @cached_property
    def _words(self) -> list[tuple[PassageSpan, set[str]]]:
        return [
            (span, set(content_words(self.text[span.start : span.end]))) for span in self.windows
        ]
