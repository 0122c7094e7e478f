"""English words that say little, point, deny or count, and the words that say something.

Owns the word lists of the checks of answers (`support`, `facts`) and of follow-up questions
(`graphs.templates.followup`).
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOPWORDS = _words(
    "a an and are as at be been but by can could do does did for from had has have he her here "
    "his how i if in into is it its me my of on or our she should so such sure than that the "
    "their them then there these they this those to too was we were what when where which who "
    "why will with would you your also"
)
POINTING = _words(
    "it its itself this that these those they them their theirs he him his she her hers there "
    "one ones former latter same such else"
)
OWNING = _words("its their theirs his her hers itself")
"""Of the pointing words, those that may well mean something within the same sentence."""
ASKING = _words("how what when where which who whom whose why")
"""Words for what an answer has to say; a question without them may want a yes or a no."""
NEGATIONS = _words("no not never none nobody nothing neither nor without cannot")
"""Words that deny; others end with "n't"."""
HALF_NEGATIONS = _words("only unless until except but stop stops stopped stopping")
"""Words that deny some of what they stand with: whether the whole is denied is not known."""
COUNTS = {
    **{word: count for count, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
         "twelve"), 2,
    )},
    "twice": 2, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
    "hundred": 100, "thousand": 1000,
}  # fmt: skip
MONTHS = {
    month: number for number, month in enumerate(
        ("january", "february", "march", "april", "may", "june", "july", "august", "september",
         "october", "november", "december"), 1,
    )
}  # fmt: skip

_ANY_MORE = re.compile(r"\b(?:no (?:more|longer)|not? any ?more)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_][\w'’]*")


def content_words(text: str) -> list[str]:
    """Return the words that say something, lower-cased."""
    words = (word.casefold() for word in _WORD.findall(text))
    return [word for word in words if word not in STOPWORDS]


def is_negated(text: str) -> bool | None:
    """Tell whether a sentence denies something; None where these lists cannot tell."""
    words = re.findall(r"[a-z]+(?:['’]t)?", text.casefold())
    if HALF_NEGATIONS & set(words) or _ANY_MORE.search(text):
        return None
    return any(word in NEGATIONS or word.endswith(("n't", "n’t")) for word in words)
