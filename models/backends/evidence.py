"""Which sentences of the passages answer a question best, and whether they are enough. Pure.

The numbers were measured on 44 questions that two documentation sets answer, 20 near ones and 20
far ones that they do not: see `docs/decisions/0004-embedded-reader.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.backends.sentences import Sentence, sentences

WINDOW_SENTENCES = 3
FRAGMENT_WORDS = 4  # shorter ones ("Note", a signature) come along without counting
WINDOW_SPANS = 6
MAX_PASSAGES = 6
MAX_WINDOWS = 80
PASSAGE_CHARS = 20_000

HEADING_SHARE = 0.2
RANK_COST = 0.005  # the search ranked the passages, and it saw more than the window
ENOUGH = 0.44
NAME_COST = 0.1  # for a name in the question that no passage has

_NAME = re.compile(r"\w[\w+#.'’-]*")


@dataclass(frozen=True, slots=True)
class Window:
    """Sentences that stand together in one passage, given by its number."""

    passage: int
    sentences: tuple[Sentence, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The best window and its score; `enough` says whether it may be given as an answer."""

    window: Window
    score: float
    enough: bool


def windows(passages: Sequence[Mapping[str, Any]]) -> list[Window]:
    """Every window worth comparing, bounded, the passages that rank first first."""
    found: list[Window] = []
    for number, passage in enumerate(passages[:MAX_PASSAGES]):
        text = str(passage.get("text") or "")[:PASSAGE_CHARS]
        for run in _runs(text, _headings(passage)):
            for group in _groups(text, run):
                span = text[group[0].start : group[-1].end]
                found.append(Window(number, tuple(group), span))
    return found[:MAX_WINDOWS]


def place(passage: Mapping[str, Any]) -> str:
    """Title and headings of a passage as a text to compare with the question."""
    parts = [passage.get("title") or "", *(passage.get("heading") or [])]
    return " > ".join(dict.fromkeys(str(part) for part in parts if part))


def best(
    question: str,
    passages: Sequence[Mapping[str, Any]],
    candidates: Sequence[Window],
    similarities: Sequence[float],
    places: Sequence[float],
    *,
    enough: float = ENOUGH,
) -> Evidence | None:
    """The window to answer with; None when there is no candidate.

    `similarities` of the candidates and `places` of the passages are cosines to the question. From
    a score of `enough` on it may be given as an answer.
    """
    if not candidates:
        return None
    in_place = [
        (1 - HEADING_SHARE) * similarity + HEADING_SHARE * places[window.passage]
        for window, similarity in zip(candidates, similarities, strict=True)
    ]

    def rank(number: int) -> float:
        return in_place[number] - RANK_COST * candidates[number].passage

    first = max(range(len(candidates)), key=rank)
    # A heading helps to choose; one that says nothing ("notes.txt") is no reason to refuse.
    score = max(in_place[first], similarities[first])
    if _unknown_names(question, passages):
        score -= NAME_COST
    return Evidence(candidates[first], score, score >= enough)


def _headings(passage: Mapping[str, Any]) -> set[str]:
    titles = [passage.get("title") or "", *(passage.get("heading") or [])]
    return {_plain(str(title)) for title in titles}


def _plain(title: str) -> str:
    return title.strip("# ¶\t").casefold()


def _runs(text: str, headings: set[str]) -> list[list[Sentence]]:
    """Sentences between headings: a window across one would join two subjects."""
    runs: list[list[Sentence]] = [[]]
    for sentence in sentences(text):
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
    """Whether the question names something that the passages do not.

    "How do I conflate heads in Mercurial?" is near to what Git's documents say, and not answered.
    """
    known = " ".join(f"{place(each)} {each.get('text') or ''}" for each in passages).casefold()
    for number, word in enumerate(_NAME.findall(question)):
        name = re.sub(r"['’]s$", "", word).rstrip(".'’-")
        capital = name[:1].isupper() if number else False
        inner = any(letter.isupper() for letter in name[1:])
        if (capital or inner) and name != "I" and name.casefold() not in known:
            return True
    return False
