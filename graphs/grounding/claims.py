"""The claims of an answer: its sentences, each with the passages that it cites.

Owns what reads as a citation marker, and which sentence a marker belongs to. Where sentences end is
`models.text.sentences`'.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphs.grounding.stopwords import content_words
from models.refusal import REFUSAL
from models.text.sentences import Sentence, split_sentences

MARKER = re.compile(
    r"[ \t]?\[(?:(?:passages?|sources?|documents?|docs?|refs?)[ \t]*)?"
    r"(\d{1,6}(?:[ \t]*[,;–-][ \t]*\d{1,6})*)\](?!\()",
    re.IGNORECASE,
)
"""`[1]`, `[1, 2]`, `[1-3]` or `[passage 2]`; `[1](address)` is a link."""

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
MAX_RANGE = 50
"""Nobody cites so many at once: `[1-900]` counts as its first number."""
MIN_CLAIM_WORDS = 3
"""A sentence of fewer content words, without a citation, claims nothing."""
_RANGE = re.compile(r"(\d+)(?:[ \t]*[–-][ \t]*(\d+))?")


@dataclass(frozen=True, slots=True)
class Claim:
    """`answer[start:end]`, its markers included; `text` is without them.

    `asserts` is False where there is nothing to be checked: headings, questions, "as follows:".
    """

    start: int
    end: int
    text: str
    cited: tuple[int, ...]
    asserts: bool


def markers(answer: str) -> list[re.Match[str]]:
    """Find what reads as citations in an answer; `values[0]` and what stands in code does not."""
    code = [match.span() for match in CODE.finditer(answer)]
    starts = [start for start, _ in code]

    def in_code(offset: int) -> bool:
        before = bisect_right(starts, offset) - 1
        return before >= 0 and offset < code[before][1]

    return [
        match
        for match in MARKER.finditer(answer)
        if not (in_code(match.start()) or _is_index(answer, match))
    ]


def _is_index(answer: str, match: re.Match[str]) -> bool:
    """Tell whether a marker indexes the word before it, as in `values[0]` or `row[1].name`."""
    bracket = match.start() + match[0].index("[")
    attached = bracket > 0 and (answer[bracket - 1].isalnum() or answer[bracket - 1] in "_)")
    after = answer[match.end() : match.end() + 1]
    return attached and (0 in numbers_of(match[1]) or after.isalnum() or after in ("_", "=", "("))


def numbers_of(marker: str) -> list[int]:
    """Return the numbers that a marker names, ranges written out."""
    numbers: list[int] = []
    for first, last in _RANGE.findall(marker):
        stop = int(last) if last and int(last) - int(first) < MAX_RANGE else int(first)
        numbers += range(int(first), max(stop, int(first)) + 1)
    return numbers


def replace_matches(
    text: str, matches: Sequence[re.Match[str]], replace: Callable[[re.Match[str]], str]
) -> str:
    """Replace each of these matches, which are in order and do not overlap."""
    parts, done = [], 0
    for match in matches:
        parts += [text[done : match.start()], replace(match)]
        done = match.end()
    return "".join([*parts, text[done:]])


def split_claims(answer: str, passages: int) -> list[Claim]:
    """Split an answer into its sentences, in order and never overlapping.

    Every marker must stand for one of the passages, which are counted from 1: the invented ones
    are removed before (`citations.remove_invented_markers`).
    """
    valid = [match for match in markers(answer) if _is_valid(match, passages)]
    # Blanks of the same length in place of markers: offsets stay those of the answer.
    bare = replace_matches(answer, valid, lambda match: " " * len(match[0]))
    parts = split_sentences(bare)
    starts = [sentence.start for sentence in parts]
    marks: list[list[re.Match[str]]] = [[] for _ in parts]
    for mark in valid if parts else ():
        last = bisect_right(starts, mark.start()) - 1
        marks[_owner(mark, last, parts, answer)].append(mark)
    return [_claim(bare, *pair) for pair in zip(parts, marks, strict=True)]


def _is_valid(mark: re.Match[str], passages: int) -> bool:
    numbers = numbers_of(mark[1])
    return bool(numbers) and all(0 < number <= passages for number in numbers)


def _owner(mark: re.Match[str], last: int, parts: Sequence[Sentence], answer: str) -> int:
    """Return the number of the sentence that a marker stands in or behind.

    `last` is the last sentence that begins before the marker. A marker that begins a line belongs
    to the sentence after it.
    """
    if last < 0:
        return 0
    behind = "\n" not in answer[parts[last].end : mark.start()]
    if behind or last + 1 == len(parts) or "\n" in answer[mark.end() : parts[last + 1].start]:
        return last
    return last + 1


def _claim(bare: str, sentence: Sentence, marks: Sequence[re.Match[str]]) -> Claim:
    text = re.sub(r"\s+(?=[.,;:!?]|\s)", "", bare[sentence.start : sentence.end]).strip()
    cited = tuple(dict.fromkeys(number for mark in marks for number in numbers_of(mark[1])))
    start = min([sentence.start, *(mark.start() for mark in marks)])
    end = max([sentence.end, *(mark.end() for mark in marks)])
    return Claim(start, end, text, cited, _asserts(text, sentence.heading, bool(cited)))


def _asserts(text: str, heading: bool, cites: bool) -> bool:
    words = len(content_words(text))
    if heading or not words or is_refusal(text):
        return False
    return cites or (not text.endswith(("?", ":")) and words >= MIN_CLAIM_WORDS)


def is_refusal(text: str) -> bool:
    """Tell whether a sentence says that the documents do not hold the answer, and no more."""
    return _words(text) == _words(REFUSAL)


def begins_refusal(text: str) -> bool:
    """Tell whether a sentence begins so; it may go on with what they do not say."""
    refusal = _words(REFUSAL)
    return _words(text)[: len(refusal)] == refusal


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def remove_markers(text: str) -> str:
    """Remove all that reads as a citation."""
    matches = markers(text)
    return replace_matches(text, matches, lambda match: "").strip() if matches else text
