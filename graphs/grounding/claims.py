"""The sentences of an answer, each with the passages that it cites."""

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
CLAIM_WORDS = 3  # a sentence of fewer content words, without a citation, claims nothing
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
    """What reads as citations in an answer; `values[0]` and what stands in code does not."""
    code = [found.span() for found in CODE.finditer(answer)]
    starts = [start for start, _ in code]

    def in_code(place: int) -> bool:
        before = bisect_right(starts, place) - 1
        return before >= 0 and place < code[before][1]

    return [
        found
        for found in MARKER.finditer(answer)
        if not (in_code(found.start()) or _is_index(answer, found))
    ]


def _is_index(answer: str, found: re.Match[str]) -> bool:
    bracket = found.start() + found[0].index("[")
    attached = bracket > 0 and (answer[bracket - 1].isalnum() or answer[bracket - 1] in "_)")
    after = answer[found.end() : found.end() + 1]
    return attached and (0 in numbers_of(found[1]) or after.isalnum() or after in ("_", "=", "("))


def numbers_of(marker: str) -> list[int]:
    """The numbers that a marker names, ranges written out."""
    found: list[int] = []
    for first, last in _RANGE.findall(marker):
        stop = int(last) if last and int(last) - int(first) < MAX_RANGE else int(first)
        found += range(int(first), max(stop, int(first)) + 1)
    return found


def replaced(
    text: str, found: Sequence[re.Match[str]], with_: Callable[[re.Match[str]], str]
) -> str:
    """The text with each of these matches, which are in order, replaced."""
    parts, done = [], 0
    for match in found:
        parts += [text[done : match.start()], with_(match)]
        done = match.end()
    return "".join([*parts, text[done:]])


def claims(answer: str, passages: int) -> list[Claim]:
    """The answer's sentences in order, never overlapping. Its markers are known to be right."""
    known = [found for found in markers(answer) if _known(found, passages)]
    bare = replaced(answer, known, lambda found: " " * len(found[0]))
    found = split_sentences(bare)
    starts = [sentence.start for sentence in found]
    marks: list[list[re.Match[str]]] = [[] for _ in found]
    for mark in known if found else ():
        last = bisect_right(starts, mark.start()) - 1
        marks[_owner(mark, last, found, answer)].append(mark)
    return [_claim(bare, *pair) for pair in zip(found, marks, strict=True)]


def _known(mark: re.Match[str], passages: int) -> bool:
    numbers = numbers_of(mark[1])
    return bool(numbers) and all(0 < number <= passages for number in numbers)


def _owner(mark: re.Match[str], last: int, found: Sequence[Sentence], answer: str) -> int:
    """The sentence that a marker stands in or behind; before, where a line begins with it.

    `last` is the last sentence that begins before the marker.
    """
    if last < 0:
        return 0
    behind = "\n" not in answer[found[last].end : mark.start()]
    if behind or last + 1 == len(found) or "\n" in answer[mark.end() : found[last + 1].start]:
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
    if heading or not words or refuses(text):
        return False
    return cites or (not text.endswith(("?", ":")) and words >= CLAIM_WORDS)


def refuses(text: str) -> bool:
    """Whether a sentence says that the documents do not hold the answer."""
    said = " ".join(re.findall(r"\w+", text.casefold()))
    return said == " ".join(re.findall(r"\w+", REFUSAL.casefold()))
