"""From an answer with markers like `[2]` to the spans of documents that it rests on. Pure.

Owns the citations and checks as users see them: in the parts of a node's result, and in the event
`citation`. Invariant: a citation with `start` and `end` has exactly that text of its document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from graphs.grounding.claims import is_refusal, markers, numbers_of, remove_markers, replace_matches
from graphs.grounding.support import Check, PassageSpan
from models.refusal import REFUSAL

Passage = Mapping[str, Any]
Unsupported = Literal["mark", "remove", "keep"]

LABEL = re.compile(r"^\s*question\s*:\s*", re.IGNORECASE)
QUESTION_MARKS = "?？؟"
FIELDS = ("index", "document", "title", "source", "heading", "page", "start", "end", "hash", "text")
MAX_NESTED = 20
"""Markers within markers: nobody writes so, but a hostile text may."""
WHOLE = -1
"""As a span's end: all of the passage."""
LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])?[ \t]*")


@dataclass(frozen=True)
class CheckedAnswer:
    """An answer as it is given out.

    `removed` are sentences that were taken out of it, `invented` the numbers of markers that stood
    for no passage, `added` sentences that were given a citation. `score` says how well the evidence
    fits that was quoted.
    """

    text: str
    citations: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    removed: list[str]
    invented: list[int]
    added: list[str] = field(default_factory=list)
    refused: bool = False
    score: float | None = None

    @property
    def quoted(self) -> bool:
        """Whether evidence is quoted that the model did not give."""
        return self.score is not None

    @property
    def unsupported(self) -> list[str]:
        """The sentences that stay although their source does not say them, or has no name."""
        return [check["sentence"] for check in self.checks if check["supported"] is False]


class AskedQuestion(NamedTuple):
    """What a prompt asks; other prompts than questions are texts to be written."""

    text: str
    is_question: bool


def question_of(prompt: str, blocks: Sequence[str]) -> AskedQuestion:
    """Return what a prompt asks, without the passages it cites and its `Question:` label."""
    for block in blocks:
        if block:
            prompt = prompt.replace(block, "", 1)
    text, labels = LABEL.subn("", prompt.strip(), count=1)
    return AskedQuestion(text.strip(), labels > 0 or any(mark in text for mark in QUESTION_MARKS))


def remove_invented_markers(text: str, passages: int) -> tuple[str, list[int]]:
    """Remove markers that stand for no passage, and return the rest and the removed numbers."""
    invented: dict[int, None] = {}

    def check(match: re.Match[str]) -> str:
        numbers = numbers_of(match[1])
        valid = [number for number in numbers if 0 < number <= passages]
        invented.update(dict.fromkeys(number for number in numbers if number not in valid))
        if valid == numbers:
            return match[0]
        lead = match[0][: match[0].index("[")]
        return f"{lead}[{', '.join(map(str, valid))}]" if valid else ""

    for _ in range(MAX_NESTED):
        cleaned = replace_matches(text, markers(text), check)
        if cleaned == text:
            return text, list(invented)
        # What a removed marker stood in may be one now, as in "[1[9]]".
        text = cleaned
    # So many levels are an attack on this loop: then nothing is left that reads as a marker.
    return text.replace("[", "("), list(invented)


def cite_claims(
    text: str,
    checks: Sequence[Check],
    passages: Sequence[Passage],
    mode: Unsupported,
    invented: list[int],
) -> CheckedAnswer:
    """Add citations and checks to an answer; with `remove`, take out what has no source.

    Every marker that stays has a citation: of the sentences that it rests on where there are any,
    of the whole passage otherwise. An answer of which nothing is left becomes a refusal, which
    cites nothing; beside sentences with a source a refusal is taken out.
    """
    if is_refusal(bare := remove_markers(text)):
        return CheckedAnswer(bare, [], [], [], invented, refused=True)
    doubtful = [check for check in checks if check.verdict in ("unsupported", "uncited")]
    out = doubtful if mode == "remove" else []
    if out and not any(check.good or check.verdict == "unchecked" for check in checks):
        removed = [check.claim.text for check in out]
        return CheckedAnswer(REFUSAL, [], [], removed, invented, refused=True)
    if any(check.good for check in checks):
        out = [check for check in checks if check in out or is_refusal(check.claim.text)]
    citations: dict[tuple[Any, ...], dict[str, Any]] = {}
    reports = []
    for check in checks:
        if check not in out:
            numbers = [_add_citation(citations, each) for each in _citations(check, passages)]
            reports += [_report_check(check, numbers)] if check.verdict != "plain" else []
    return CheckedAnswer(
        _write_out(text, checks, out),
        list(citations.values()),
        reports,
        [check.claim.text for check in out],
        invented,
        added=[check.claim.text for check in checks if check.added],
    )


def cite_quotes(
    text: str, passages: Sequence[Passage], spans: Iterable[Mapping[str, Any]]
) -> CheckedAnswer:
    """Add citations to an answer whose model says itself which sentences it quotes.

    A span whose text does not stand there is left out.
    """
    citations: dict[tuple[Any, ...], dict[str, Any]] = {}
    reports = []
    for span in spans:
        if citation := _exact_citation(span, passages):
            number = _add_citation(citations, citation)
            reports.append(_report(citation["text"], "quoted", [number]))
    return CheckedAnswer(text, list(citations.values()), reports, [], [])


def _exact_citation(span: Mapping[str, Any], passages: Sequence[Passage]) -> dict[str, Any] | None:
    number = span["n"]
    if not 0 < number <= len(passages):
        return None
    passage = passages[number - 1]
    begin = int(passage.get("start") or 0)
    start, end = span["start"] - begin, span["end"] - begin
    inside = 0 <= start < end and str(passage.get("text") or "")[start:end] == span["text"]
    return _citation(passage, PassageSpan(number, start, end), True) if inside else None


def _citations(check: Check, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    supported = None if check.verdict in ("plain", "unchecked") else check.good
    spans = {span.passage: span for span in check.spans}
    # A passage in which nothing was found, beside others in which something was, does not support.
    rest = False if spans else supported
    return [
        _citation(passages[number - 1], spans[number], supported)
        if number in spans
        else _citation(passages[number - 1], PassageSpan(number, 0, WHOLE), rest)
        for number in check.claim.cited
    ]


def _citation(passage: Passage, span: PassageSpan, supported: bool | None) -> dict[str, Any]:
    """Cite a span of a passage.

    `start` and `end` are null where the passage's own span in its document is not exact, as with
    text that was put together of several places.
    """
    text = str(passage.get("text") or "")
    end = len(text) if span.end == WHOLE else span.end
    begin, stop = passage.get("start"), passage.get("end")
    exact = isinstance(begin, int) and (stop is None or stop - begin == len(text))
    return {
        "n": span.passage,
        "passage": passage.get("id"),
        **{key: passage.get(key) for key in FIELDS},
        "start": begin + span.start if exact and begin is not None else None,
        "end": begin + end if exact and begin is not None else None,
        "text": text[span.start : end],
        "supported": supported,
    }


def _add_citation(
    citations: dict[tuple[Any, ...], dict[str, Any]], citation: dict[str, Any]
) -> int:
    """Add a citation, each span once, and return its number in the list, from 0."""
    key = citation["n"], citation["start"], citation["end"], citation["text"]
    first = citations.setdefault(key, citation)
    # Cited by several sentences, a span supports the answer where it supports one of them.
    if first["supported"] is not True and citation["supported"] is not None:
        first["supported"] = citation["supported"]
    return list(citations).index(key)


def _report_check(check: Check, citations: list[int]) -> dict[str, Any]:
    return _report(check.claim.text, check.verdict, citations, check.score, check.missing)


def _report(
    sentence: str,
    verdict: str,
    citations: list[int],
    score: float | None = None,
    missing: Sequence[str] = (),
) -> dict[str, Any]:
    good = None if verdict == "unchecked" else verdict in ("quoted", "supported")
    return {
        "sentence": sentence,
        "verdict": verdict,
        "supported": good,
        "citations": citations,
        "score": score,
        "missing": list(missing),
    }


def _write_out(text: str, checks: Sequence[Check], out: Sequence[Check]) -> str:
    """Write an answer with the markers that were added, and without the sentences `out`."""
    for check in reversed(checks):
        claim = check.claim
        if check in out:
            text = _cut_span(text, claim.start, claim.end)
        elif check.added:
            text = f"{text[: claim.end]} [{check.added}]{text[claim.end :]}"
    return text.strip() if out else text


def _cut_span(text: str, start: int, end: int) -> str:
    """Cut a span out of a text, with the list item that it leaves empty."""
    line = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    if LIST_ITEM.fullmatch(text, line, start) and not text[end:stop].strip():
        start, end = line, min(stop + 1, len(text))
    elif text[end : end + 1] == " ":
        end += 1
    return text[:start] + text[end:]
