"""Whether the passages that an answer cites say what it says. Pure; vectors are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from graphs.grounding.claims import Claim
from graphs.grounding.facts import Source, missing
from graphs.grounding.quotes import NormalizedText
from graphs.grounding.stopwords import content_words, negated
from models.text.sentences import split_sentences

Verdict = Literal["quoted", "supported", "unsupported", "uncited", "unchecked", "plain"]
Near = Callable[[int, int], float]

BOUND = 0.65
"""The cosine from which a sentence says what its source says; how well that parts true from false:
`docs/decisions/0010-checked-answers.md`."""
COVERED = 0.9
"""The share of a sentence's content words with which a window is nearly its quote."""
MAX_CLAIMS = 100
MAX_SENTENCES = 60  # of one passage
MAX_TEXTS = 400
GOOD: frozenset[Verdict] = frozenset(("quoted", "supported"))


@dataclass(frozen=True, slots=True)
class Place:
    """A span in a passage's text; passages are counted from 1."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Check:
    """What became of a sentence: where it stands, or which of its facts no cited passage has.

    `score` is the best cosine, where one was needed.
    """

    claim: Claim
    verdict: Verdict
    places: tuple[Place, ...] = ()
    score: float | None = None
    missing: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return self.verdict in GOOD


@dataclass(frozen=True, slots=True)
class _Asked:
    """A claim that takes vectors: row of its own text, and each window with its row."""

    row: int
    windows: tuple[tuple[Place, int], ...]


class GroundingCheck:
    """An answer's sentences against the passages that they cite.

    `texts` are to be embedded; it is empty where every sentence is a quote or cites nothing.
    `checks` then tells the outcome, one for each claim in order.
    """

    def __init__(self, claims: Sequence[Claim], passages: Sequence[Mapping[str, Any]]) -> None:
        self._claims = claims
        self._read = [_Read(number, passage) for number, passage in enumerate(passages, 1)]
        self.texts: list[str] = []
        self._rows: dict[tuple[int, int, int], int] = {}
        self._checks: dict[int, Check] = {}
        self._asked: dict[int, _Asked] = {}
        for at, claim in enumerate(claims):
            check = self._plainly(claim) if at < MAX_CLAIMS else Check(claim, "unchecked")
            if check is None and not self._ask(at, claim):
                check = Check(claim, "unchecked")
            if check is not None:
                self._checks[at] = check

    def checks(self, near: Near | None = None) -> list[Check]:
        """Every outcome. Without `near`, the cosine of two of `texts`, some are "unchecked"."""
        return [
            self._checks.get(at) or self._compared(at, claim, near)
            for at, claim in enumerate(self._claims)
        ]

    def _plainly(self, claim: Claim) -> Check | None:
        """The outcome that needs no vectors, if there is one."""
        if not claim.asserts:
            return Check(claim, "plain")
        if not claim.cited:
            return Check(claim, "uncited")
        read = [self._read[number - 1] for number in claim.cited]
        if quotes := [place for each in read if (place := each.quote(claim.text))]:
            return Check(claim, "quoted", tuple(quotes))
        source = Source.of("\n".join(each.whole for each in read))
        if lacking := missing(claim.text, source):
            return Check(claim, "unsupported", missing=tuple(lacking))
        if near_quotes := [place for each in read if (place := each.covering(claim.text))]:
            return Check(claim, "supported", tuple(near_quotes))
        if not any(each.agreeing(claim.text) for each in read):
            return Check(claim, "unsupported")
        return None

    def _ask(self, at: int, claim: Claim) -> bool:
        if len(self.texts) >= MAX_TEXTS:
            return False
        row = len(self.texts)
        self.texts.append(claim.text)
        windows = []
        for number in claim.cited:
            read = self._read[number - 1]
            windows += [(place, self._row(place, read.text)) for place in read.agreeing(claim.text)]
        self._asked[at] = _Asked(row, tuple(windows))
        return True

    def _row(self, place: Place, text: str) -> int:
        key = (place.passage, place.start, place.end)
        if key not in self._rows:
            self._rows[key] = len(self.texts)
            self.texts.append(text[place.start : place.end])
        return self._rows[key]

    def _compared(self, at: int, claim: Claim, near: Near | None) -> Check:
        if near is None:
            return Check(claim, "unchecked")
        asked = self._asked[at]
        best: dict[int, tuple[float, Place]] = {}
        for place, row in asked.windows:
            score = near(asked.row, row)
            if place.passage not in best or score > best[place.passage][0]:
                best[place.passage] = score, place
        score = max(score for score, _ in best.values())
        places = tuple(place for found, place in best.values() if found >= BOUND)
        return Check(claim, "supported" if places else "unsupported", places, round(score, 4))


class _Read:
    """A passage as it is compared with; each view of it is made once, when it is needed."""

    def __init__(self, number: int, passage: Mapping[str, Any]) -> None:
        self.number = number
        self.text = str(passage.get("text") or "")
        place = [str(passage.get("title") or ""), *map(str, passage.get("heading") or ())]
        self.whole = "\n".join([*place, self.text])

    def quote(self, text: str) -> Place | None:
        found = self._folded.find(text)
        return Place(self.number, *found) if found else None

    def covering(self, text: str) -> Place | None:
        """The window that has nearly all content words of a sentence, in whatever order."""
        wanted = set(content_words(text))
        if len(wanted) < 2:
            return None
        for place, words in self._words:
            if len(wanted & words) >= COVERED * len(wanted) and self._agrees(text, place):
                return place
        return None

    def agreeing(self, text: str) -> list[Place]:
        """The windows that a sentence may be compared with."""
        return [place for place in self.windows if self._agrees(text, place)]

    def _agrees(self, text: str, place: Place) -> bool:
        """Whether a window does not say the opposite: cosines hardly see a "not"."""
        said, here = negated(text), negated(self.text[place.start : place.end])
        return said is None or here is None or said == here

    @cached_property
    def windows(self) -> list[Place]:
        """Single sentences first, then two that stand together."""
        found = [each for each in split_sentences(self.text) if not each.heading][:MAX_SENTENCES]
        pairs = pairwise(found)
        return [
            *(Place(self.number, each.start, each.end) for each in found),
            *(Place(self.number, one.start, two.end) for one, two in pairs),
        ]

    @cached_property
    def _folded(self) -> NormalizedText:
        return NormalizedText.of(self.text)

    @cached_property
    def _words(self) -> list[tuple[Place, set[str]]]:
        return [
            (place, set(content_words(self.text[place.start : place.end])))
            for place in self.windows
        ]
