"""From an answer with markers like `[2]` to the places in the documents that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graphs.grounding.claims import markers, numbers_of, replaced
from graphs.grounding.support import Check, Place
from models.refusal import REFUSAL

Passage = Mapping[str, Any]
Unsupported = Literal["mark", "remove", "keep"]

LABEL = re.compile(r"^\s*question\s*:\s*", re.IGNORECASE)
FIELDS = ("index", "document", "title", "source", "heading", "page", "start", "end", "hash", "text")
MAX_NESTED = 20  # markers within markers: nobody writes so, but a hostile text may
LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])?[ \t]*")


@dataclass(frozen=True)
class Cited:
    """An answer as it is given out. `removed` are sentences that were taken out of it, `invented`
    the numbers of markers that stood for no passage."""

    text: str
    citations: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    removed: list[str]
    invented: list[int]

    @property
    def unsupported(self) -> list[str]:
        """The sentences that stay although their source does not say them, or has no name."""
        return [check["sentence"] for check in self.checks if check["supported"] is False]


def question_of(prompt: str, blocks: Sequence[str]) -> str:
    """What a prompt asks, without the passages it cites and without a `Question:` label."""
    for block in blocks:
        if block:
            prompt = prompt.replace(block, "", 1)
    return LABEL.sub("", prompt.strip(), count=1).strip()


def without_invented(text: str, passages: int) -> tuple[str, list[int]]:
    """The answer with markers of given passages alone, and the numbers of the others."""
    invented: dict[int, None] = {}

    def check(match: re.Match[str]) -> str:
        numbers = numbers_of(match[1])
        known = [number for number in numbers if 0 < number <= passages]
        invented.update(dict.fromkeys(number for number in numbers if number not in known))
        if known == numbers:
            return match[0]
        lead = match[0][: match[0].index("[")]
        return f"{lead}[{', '.join(map(str, known))}]" if known else ""

    for _ in range(MAX_NESTED):
        cleaned = replaced(text, markers(text), check)
        if cleaned == text:
            return text, list(invented)
        # What a removed marker stood in may be one now, as in "[1[9]]".
        text = cleaned
    return text.replace("[", "("), list(invented)


def cited(
    text: str,
    checks: Sequence[Check],
    passages: Sequence[Passage],
    mode: Unsupported,
    invented: list[int],
) -> Cited:
    """The answer with what was found out about it; with `remove`, without what has no source.

    Every marker that stays has a citation: of the sentences that it rests on where they were
    found, of the whole passage otherwise.
    """
    doubtful = [check for check in checks if check.verdict in ("unsupported", "uncited")]
    out = doubtful if mode == "remove" else []
    removed = [check.claim.text for check in out]
    if out and not any(check.good or check.verdict == "unchecked" for check in checks):
        return Cited(REFUSAL, [], [], removed, invented)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    told = []
    for check in checks:
        if check not in out:
            places = [_gathered(found, citation) for citation in _citations(check, passages)]
            told += [_told(check, places)] if check.verdict != "plain" else []
    return Cited(
        _without(text, [(check.claim.start, check.claim.end) for check in out]),
        list(found.values()),
        told,
        removed,
        invented,
    )


def quoted(text: str, passages: Sequence[Passage], spans: Iterable[Mapping[str, Any]]) -> Cited:
    """An answer whose model told itself which sentences of the passages it gives; those that are
    not there are left out of the citations."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    told = []
    for span in spans:
        if citation := _exact(span, passages):
            place = _gathered(found, citation)
            told.append(_report(citation["text"], "quoted", [place]))
    return Cited(text, list(found.values()), told, [], [])


def _exact(span: Mapping[str, Any], passages: Sequence[Passage]) -> dict[str, Any] | None:
    number = span["n"]
    if not 0 < number <= len(passages):
        return None
    passage = passages[number - 1]
    begin = int(passage.get("start") or 0)
    start, end = span["start"] - begin, span["end"] - begin
    inside = 0 <= start < end and str(passage.get("text") or "")[start:end] == span["text"]
    return _citation(passage, Place(number, start, end), True) if inside else None


def _citations(check: Check, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    supported = None if check.verdict in ("plain", "unchecked") else check.good
    narrow = {place.passage: place for place in check.places}
    return [
        _citation(passages[number - 1], narrow[number], supported)
        if number in narrow
        else _citation(passages[number - 1], Place(number, 0, -1), False if narrow else supported)
        for number in check.claim.cited
    ]


def _citation(passage: Passage, place: Place, supported: bool | None) -> dict[str, Any]:
    """A span of a passage; with an end of -1 the whole. Without an exact place in the document
    there are no `start` and `end`."""
    text = str(passage.get("text") or "")
    end = len(text) if place.end < 0 else place.end
    begin, stop = passage.get("start"), passage.get("end")
    known = isinstance(begin, int) and (stop is None or stop - begin == len(text))
    return {
        "n": place.passage,
        "passage": passage.get("id"),
        **{key: passage.get(key) for key in FIELDS},
        "start": begin + place.start if known and begin is not None else None,
        "end": begin + end if known and begin is not None else None,
        "text": text[place.start : end],
        "supported": supported,
    }


def _gathered(found: dict[tuple[Any, ...], dict[str, Any]], citation: dict[str, Any]) -> int:
    """The citation's place in the list, each span once."""
    key = citation["n"], citation["start"], citation["end"], citation["text"]
    known = found.setdefault(key, citation)
    if known["supported"] is not True and citation["supported"] is not None:
        known["supported"] = citation["supported"]
    return list(found).index(key)


def _told(check: Check, places: list[int]) -> dict[str, Any]:
    return _report(check.claim.text, check.verdict, places, check.score, check.missing)


def _report(
    sentence: str,
    verdict: str,
    places: list[int],
    score: float | None = None,
    missing: Sequence[str] = (),
) -> dict[str, Any]:
    good = None if verdict == "unchecked" else verdict in ("quoted", "supported")
    return {
        "sentence": sentence,
        "verdict": verdict,
        "supported": good,
        "citations": places,
        "score": score,
        "missing": list(missing),
    }


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without these spans, without the list items that they leave empty."""
    for start, end in reversed(spans):
        line = text.rfind("\n", 0, start) + 1
        stop = text.find("\n", end)
        stop = len(text) if stop < 0 else stop
        if LIST_ITEM.fullmatch(text, line, start) and not text[end:stop].strip():
            start, end = line, min(stop + 1, len(text))
        elif text[end : end + 1] == " ":
            end += 1
        text = text[:start] + text[end:]
    return text.strip() if spans else text
