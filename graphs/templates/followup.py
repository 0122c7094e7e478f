"""Rewriting a follow-up question by rule, where no language model does it well. Pure; English only.

Owns the filter `standalone`. A question that stands by itself must stay as it is: a needless word
costs a search more than a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphs.grounding.claims import begins_refusal
from graphs.grounding.stopwords import OWNING, POINTING, content_words

MIN_OWN_WORDS = 2
"""Content words; a question with fewer depends on what was said before."""
MAX_ADDED_WORDS = 12
MAX_QUESTION_CHARS = 2000
"""A longer question stands by itself; of a longer one before, so much is read."""
_OPENING = re.compile(
    r"^\s*(?:and|but|or|so|then|also|what about|how about|what else|why(?: not)?\s*\??$|"
    r"and (?:what|how|why|when|where)|und|aber|warum)\b",
    re.IGNORECASE,
)
_POINTS_NOWHERE = re.compile(
    r"\b(?:is|are|was|were) there\b|\b(?:does|do|did|is|was|will) it (?:take|rain|matter)\b|"
    r"\bthere (?:is|are|was|were)\b|\b(?:no|any|some|every) ?one\b|\bone of\b|"
    r"\b(?:so|such) that\b|\bthe same\b.*\bas\b|\bor else\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r",|\b(?:and|but|or|if|when|while|after|before|so|because)\b", re.IGNORECASE)
_RELATIVE = re.compile(r"(\w+)\s+that\b(?=\s+\w)", re.IGNORECASE)
_PRONOUN = re.compile(rf"\b(?:{'|'.join(sorted(POINTING))})\b", re.IGNORECASE)


def rewrite_followup(question: str, history: Sequence[Mapping[str, Any]], written: str = "") -> str:
    """Add to a follow-up question the content words of the one before.

    What a model has `written` instead is taken where it is a question about the same.

    `history` are earlier turns, `question` and `query` (that one standing by itself), oldest
    first; those that were `refused` are passed over, as their words have found nothing. A question
    that stands by itself stays as it is.
    """
    if _is_rewritten(written, question, history):
        return written.strip()
    before = _last_query(history)[:MAX_QUESTION_CHARS]
    if len(question) > MAX_QUESTION_CHARS or not before or not depends_on_context(question):
        return question
    own = set(content_words(question))
    added = [word for word in _subject_words(before) if word.casefold() not in own]
    return " ".join([question.strip(), *added[:MAX_ADDED_WORDS]])


def _is_rewritten(written: str, question: str, history: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a text is a question with a word of this one or an earlier one.

    Small models answer instead, refuse, or repeat what they were told to do.
    """
    if begins_refusal(written) or len(written) > MAX_QUESTION_CHARS:
        return False
    if _asks(question) and not _asks(written):
        return False
    questions = [question, *(str(turn.get("question") or "") for turn in history)]
    known = {word for each in questions for word in content_words(each[:MAX_QUESTION_CHARS])}
    return not known.isdisjoint(content_words(written))


def _asks(text: str) -> bool:
    return text.rstrip().endswith(("?", "？", "؟"))


def depends_on_context(question: str) -> bool:
    """Tell whether a question cannot be understood without what was said before."""
    if _OPENING.match(question):
        return True
    words = content_words(question)
    if len([word for word in words if word not in POINTING]) < MIN_OWN_WORDS:
        return True
    pointing = _POINTS_NOWHERE.sub(" ", question)
    pointing = _RELATIVE.sub(_without_relative, pointing)
    first = _PRONOUN.search(pointing)
    return first is not None and not _names_before(pointing[: first.start()], first[0])


def _without_relative(match: re.Match[str]) -> str:
    """Drop a "that" which points within the sentence, as in "the file that the server wrote"."""
    return match[1] if content_words(match[1]) else match[0]


def _names_before(text: str, pronoun: str) -> bool:
    """Tell whether the question names something before its first pronoun, which then means that.

    "When a run fails, is it tried again?" stands by itself; "Why does the server need it?" does
    not.
    """
    named = len(content_words(text)) >= MIN_OWN_WORDS
    return named and (pronoun.casefold() in OWNING or _CLAUSE.search(text) is not None)


def _last_query(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the last question that stood by itself: what a follow-up to a follow-up is about."""
    for turn in reversed(history):
        query = str(turn.get("query") or turn.get("question") or "")
        if query and not turn.get("refused"):
            return query
    return ""


def _subject_words(text: str) -> list[str]:
    """Return the content words that name something, each once, as the text writes them."""
    words = re.findall(r"[^\W_][\w'’.+#/-]*[\w+#]|[^\W_]", text)
    unique = {word.casefold(): word for word in words if content_words(word)}
    return [word for lowered, word in unique.items() if lowered not in POINTING]
