"""From markers like `[2]` in an answer to the places in the documents that they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Passage = Mapping[str, Any]

MARKER = re.compile(r"[ \t]?\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()")
LABEL = re.compile(r"^\s*question\s*:\s*", re.IGNORECASE)
FIELDS = ("index", "document", "title", "source", "heading", "page", "start", "end", "hash", "text")


@dataclass(frozen=True)
class Cited:
    """An answer whose markers are all known, its citations, and the markers that were not."""

    text: str
    citations: list[dict[str, Any]]
    unknown: list[int]


def question_of(prompt: str, blocks: Sequence[str]) -> str:
    """What a prompt asks, without the passages it cites and without a `Question:` label."""
    for block in blocks:
        if block:
            prompt = prompt.replace(block, "", 1)
    return LABEL.sub("", prompt.strip(), count=1).strip()


def resolve(
    text: str, passages: Sequence[Passage], spans: Sequence[Mapping[str, Any]] | None
) -> Cited:
    """The citations of an answer, in the order in which it first makes them.

    `spans` are exact places that the model itself told: number, start, end and text.
    """
    if spans is not None:
        told = [span for span in spans if 0 < span["n"] <= len(passages)]
        return Cited(text, [_citation(passages[s["n"] - 1], s) for s in told], [])
    used: dict[int, None] = {}
    unknown: dict[int, None] = {}

    def check(match: re.Match[str]) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", match[1])]
        known = [number for number in numbers if 0 < number <= len(passages)]
        if not known and _is_code(text, match):
            return match[0]
        used.update(dict.fromkeys(known))
        unknown.update(dict.fromkeys(number for number in numbers if number not in known))
        if known == numbers:
            return match[0]
        lead = match[0][: match[0].index("[")]
        return f"{lead}[{', '.join(map(str, known))}]" if known else ""

    cleaned = MARKER.sub(check, text)
    found = [_citation(passages[number - 1], {"n": number}) for number in used]
    return Cited(cleaned, found, list(unknown))


def _is_code(text: str, match: re.Match[str]) -> bool:
    """`values[0]` in an answer is no marker."""
    bracket = match.start() + match[0].index("[")
    return bracket > 0 and (text[bracket - 1].isalnum() or text[bracket - 1] in "_)]")


def _citation(passage: Passage, told: Mapping[str, Any]) -> dict[str, Any]:
    place = {key: told.get(key, passage.get(key)) for key in FIELDS}
    return {"n": told["n"], "passage": passage.get("id"), **place}
