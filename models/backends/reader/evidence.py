"""Which sentences of the passages answer a question best, and whether they are enough. Pure.

The numbers were measured: see `docs/decisions/0004-embedded-reader.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.text.sentences import Sentence, split_sentences

WINDOW_SENTENCES = 3
FRAGMENT_WORDS = 4
"""Shorter sentences ("Note", a signature) come along without counting."""
WINDOW_SPANS = 6
MAX_PASSAGES = 8
MAX_WINDOWS = 80
PASSAGE_CHARS = 20_000

PASSAGE_SHARE = 0.4
"""Of the score: the search saw more of a passage than the window."""
MOST_WINDOWS = 3
NEARLY = 0.05
"""What comes so near to the best window may be the answer too."""
ENOUGH = 0.45
"""The score from which the reader answers, unless the index has a threshold of its own."""
STRONG_MARGIN = 0.03
"""Above the bar; see `docs/decisions/0010-checked-answers.md`."""
NAME_COST = 0.1
"""For a name in the question that no passage has."""

_NAME = re.compile(r"\w[\w+#.'’-]*")


@dataclass(frozen=True, slots=True)
class EvidenceWindow:
    """Sentences that stand together in one passage, given by its number."""

    passage: int
    sentences: tuple[Sentence, ...]
    text: str

    def meets(self, other: EvidenceWindow) -> bool:
        """Tell whether the two share characters of one passage."""
        mine, theirs = self.sentences, other.sentences
        apart = mine[-1].end <= theirs[0].start or theirs[-1].end <= mine[0].start
        return self.passage == other.passage and not apart


@dataclass(frozen=True, slots=True)
class Evidence:
    """The windows to answer with, the score of the best, and the bar that it has to pass."""

    windows: tuple[EvidenceWindow, ...]
    score: float
    bar: float

    @property
    def enough(self) -> bool:
        """Whether the windows may be given as an answer."""
        return self.score >= self.bar

    @property
    def strong(self) -> bool:
        """Whether they may be although a language model refused."""
        return self.score >= self.bar + STRONG_MARGIN


NO_EVIDENCE = Evidence((), 0.0, 1.0)


def quoted(passages: Sequence[Mapping[str, Any]]) -> tuple[list[EvidenceWindow], list[float]]:
    """Find the windows that the search found nearest, and their cosines to what was looked for."""
    windows_found: list[EvidenceWindow] = []
    cosines: list[float] = []
    for number, passage in enumerate(passages[:MAX_PASSAGES]):
        text, begin = str(passage.get("text") or ""), int(passage.get("start") or 0)
        whole = split_sentences(text[:PASSAGE_CHARS]) if passage.get("quotes") else []
        for quote in passage.get("quotes") or ():
            start, end = quote["start"] - begin, quote["end"] - begin
            inside = [each for each in whole if start <= each.start and each.end <= end]
            if inside:
                span = text[inside[0].start : inside[-1].end]
                windows_found.append(EvidenceWindow(number, tuple(inside), span))
                cosines.append(float(quote["score"]))
    return windows_found, cosines


def windows(passages: Sequence[Mapping[str, Any]]) -> list[EvidenceWindow]:
    """List every window worth comparing, bounded, the passages that rank first first."""
    windows_found: list[EvidenceWindow] = []
    for number, passage in enumerate(passages[:MAX_PASSAGES]):
        text = str(passage.get("text") or "")[:PASSAGE_CHARS]
        for run in _runs(text, _headings(passage)):
            for group in _groups(text, run):
                span = text[group[0].start : group[-1].end]
                windows_found.append(EvidenceWindow(number, tuple(group), span))
    return windows_found[:MAX_WINDOWS]


def best(
    question: str,
    passages: Sequence[Mapping[str, Any]],
    candidates: Sequence[EvidenceWindow],
    cosines: Sequence[float],
    *,
    enough: float = ENOUGH,
) -> Evidence | None:
    """Choose the windows to answer with; None when there is no candidate.

    `cosines` are those of the candidates to the question. From a score of `enough` on they may be
    given as an answer.
    """
    if not candidates:
        return None
    pairs = zip(candidates, cosines, strict=True)
    scored = [(_in_passage(passages[window.passage], cosine), window) for window, cosine in pairs]
    scored.sort(key=lambda each: -each[0])
    score = scored[0][0]
    chosen: list[EvidenceWindow] = []
    for each, window in scored:
        near = each >= score - NEARLY and len(chosen) < MOST_WINDOWS
        if near and not any(window.meets(other) for other in chosen):
            chosen.append(window)
    if _unknown_names(question, passages):
        score -= NAME_COST
    return Evidence(_in_order(chosen), score, enough)


def _in_passage(passage: Mapping[str, Any], cosine: float) -> float:
    return (1 - PASSAGE_SHARE) * cosine + PASSAGE_SHARE * float(passage.get("score") or cosine)


def _in_order(chosen: Sequence[EvidenceWindow]) -> tuple[EvidenceWindow, ...]:
    """Order them: the best passage first, and in each its windows as they stand there."""
    ranks = list(dict.fromkeys(window.passage for window in chosen))
    ordered = sorted(chosen, key=lambda w: (ranks.index(w.passage), w.sentences[0].start))
    return tuple(ordered)


def _headings(passage: Mapping[str, Any]) -> set[str]:
    titles = [passage.get("title") or "", *(passage.get("heading") or [])]
    return {_plain(str(title)) for title in titles}


def _plain(title: str) -> str:
    return title.strip("# ¶\t").casefold()


def _runs(text: str, headings: set[str]) -> list[list[Sentence]]:
    """Split into sentences between headings: a window across one would join two subjects."""
    runs: list[list[Sentence]] = [[]]
    for sentence in split_sentences(text):
        if sentence.heading or _plain(text[sentence.start : sentence.end]) in headings:
            runs.append([])
        else:
            runs[-1].append(sentence)
    return runs


def _groups(text: str, run: Sequence[Sentence]) -> list[list[Sentence]]:
    counts = [len(text[s.start : s.end].split()) >= FRAGMENT_WORDS for s in run]
    groups: list[list[Sentence]] = []
    covered = 0
    for first in range(len(run)):
        counted, stop = 0, first
        while stop < len(run) and stop - first < WINDOW_SPANS:
            if counted + counts[stop] > WINDOW_SENTENCES:
                break
            counted += counts[stop]
            stop += 1
        if stop > covered:
            groups.append(list(run[first:stop]))
            covered = stop
    return groups


def _unknown_names(question: str, passages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the question names something that the passages do not.

    "How do I conflate heads in Mercurial?" is near to what Git's documents say, and not answered.
    """
    known = " ".join(f"{_titles(each)} {each.get('text') or ''}" for each in passages).casefold()
    for number, word in enumerate(_NAME.findall(question)):
        name = re.sub(r"['’]s$", "", word).rstrip(".'’-")
        capital = name[:1].isupper() if number else False
        inner = any(letter.isupper() for letter in name[1:])
        if (capital or inner) and name != "I" and name.casefold() not in known:
            return True
    return False


def _titles(passage: Mapping[str, Any]) -> str:
    """Join title and headings of a passage."""
    return " ".join(map(str, [passage.get("title") or "", *(passage.get("heading") or [])]))
