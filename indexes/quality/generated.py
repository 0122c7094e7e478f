"""Makes questions of an index's own passages, by rule: where nobody has written any. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from indexes.records import Passage

FAR_QUESTIONS = (
    "Who won the football world cup in 1998?",
    "How long should an egg be boiled until it is soft?",
    "What is the boiling point of tungsten?",
    "When should tomatoes be planted outdoors?",
    "Which composer wrote the opera Carmen?",
    "How tall is the Eiffel Tower?",
    "What do pandas eat in the wild?",
    "How do I get red wine out of a white shirt?",
    "Which muscles does a squat train?",
    "Who painted the ceiling of the Sistine Chapel?",
    "How far is the moon away from the earth?",
    "What is the capital of Mongolia?",
    "How is sourdough bread kept fresh?",
    "Which vaccine protects against measles?",
    "When did the Roman empire fall?",
    "How do I change a bicycle tyre?",
    "What does a mortgage broker earn?",
    "Which birds spend the winter in Africa?",
    "How many players has an ice hockey team?",
    "What is the best month for visiting Patagonia?",
)
"""Unanswerable far from almost any subject."""

_SENTENCE = re.compile(r"(?<![.\w])[A-Z][^.!?\n]*(?:\n[^\n.!?]+)*[.]")
_PATTERNS = (
    (re.compile(r"^(?:The |An? )?((?:[\w'’-]+ ){1,5}?)(?:is|are) (?:an?|the|used|one|called)\b"),
     "What is {}?"),
    (re.compile(r"^To ((?:[\w'’-]+ ){2,8}?[\w'’-]+), "), "How do I {}?"),
    (re.compile(r"\b(?:you can|lets you|allows you to|used to|enables you to) "
                r"((?:[\w'’-]+ ){2,7}?[\w'’-]+)(?=\s+(?:by|with|using|from|in|through)\b|[,.])",
                re.IGNORECASE),
     "How can I {}?"),
    (re.compile(r"^(?:If|When) ((?:[\w'’-]+ ){2,9}[\w'’-]+), "), "What happens when {}?"),
    (re.compile(r"\bbecause ((?:[\w'’-]+ ){3,9}[\w'’-]+)(?=[,.])"), "Why does it matter that {}?"),
)  # fmt: skip
"""What a sentence says of something, and the question that asks for it."""
_EMPTY = re.compile(
    r"^(?:this|that|it|there|these|those|here|they|what|which|he|she|we|you|for|in|on|at|by|if|as|"
    r"when|all|each|some|any|and|but|to|avoid this)\b|\b(?:there|this|that|which|it)\s*$",
    re.IGNORECASE,
)
"""Topics that only refer to something said before."""
_NUMBERING = re.compile(r"^(?:[A-Z]|\d+)(?:\.\d+)*\.?\s+")
MIN_WORDS, MAX_WORDS = 6, 45
"""A sentence to make a question of is no shorter and no longer."""


@dataclass(frozen=True, slots=True)
class GeneratedQuestion:
    """A question with the sentence of the passage that answers it.

    It is `worded` by a language model, or in the passage's own words.
    """

    question: str
    answer: str
    passage: Passage
    worded: bool = False


def generate_question(passage: Passage) -> GeneratedQuestion | None:
    """Make a question that a passage answers.

    It asks about the first sentence that fits a pattern, else about the heading; None where neither
    can be turned into one.
    """
    for sentence in _split_sentences(passage.text):
        for pattern, template in _PATTERNS:
            if (match := pattern.search(sentence)) and not _EMPTY.match(match[1]):
                topic = " ".join(match[1].split())
                return GeneratedQuestion(template.format(topic), sentence, passage)
    heading = passage.heading[-1].strip("# ¶\t") if passage.heading else ""
    first = next(_split_sentences(passage.text), "")
    if len(heading.split()) < 2 or not first:
        return None
    about = _NUMBERING.sub("", heading).rstrip(".:?!").casefold()
    return GeneratedQuestion(f"What is there to know about {about}?", first, passage)


def _split_sentences(text: str) -> Iterator[str]:
    for match in _SENTENCE.finditer(text):
        sentence = " ".join(match[0].split())
        if MIN_WORDS <= len(sentence.split()) <= MAX_WORDS:
            yield sentence
