"""Cuts text into keywords: words and parts of identifiers, stemmed, without stop words.

Passages in the worker and highlights in the server are cut by the same class. A change of it needs
a new `folder.FORMAT`: saved postings hold its tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache

import regex
import snowballstemmer

WORD = regex.compile(r"[^\W_]+(?:[_.\-][^\W_]+)*")
PART = regex.compile(r"\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{N}+|[^\W\d_]+")
CONTRACTION = regex.compile(r"['’](?:s|t|re|ve|ll|d|m)\b", regex.I)
MAX_WORD_CHARS = 64
"""Longer words (encoded data, mostly) are cut there, and not into parts."""

_STOP_WORDS = """
a about above after again all also am an and any are as at be because been before being below
between both but by can cannot could did do does doing down during each few for from further had
has have having he her here hers him his how i if in into is it its itself just me more most my no
nor not of off on once only or other our out over own same she should so some such than that the
their them then there these they this those through to too under until up very was we were what
when where which while who whom why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


class Tokenizer:
    """Text to tokens, the same way for passages and queries.

    Beside its parts an identifier is a token itself, so that it is found best by its whole name.
    """

    def __init__(self) -> None:
        stemmer = snowballstemmer.stemmer("english")
        # The stemmer is plain Python and texts repeat their words.
        self._stem = lru_cache(maxsize=100_000)(stemmer.stemWord)

    def __call__(self, text: str) -> list[str]:
        words = WORD.findall(CONTRACTION.sub("", text))
        return [token for word in words for token in self._tokens(word)]

    def spans(self, text: str, tokens: Collection[str]) -> Iterator[tuple[int, int]]:
        """Find (start, end) of each word in the text that gives one of the tokens."""
        initials = {token[:1] for token in tokens}
        # Blanks as long as the contraction, so that the positions of all others hold.
        spaced = CONTRACTION.sub(lambda match: " " * len(match.group()), text)
        for word in WORD.finditer(spaced):
            start, end = word.span()
            short = end - start <= MAX_WORD_CHARS
            parts = list(PART.finditer(spaced, start, end)) if short else [word]
            for part in parts:
                # Stemming is slow, and leaves the first letter as it is.
                if part.group()[:1].lower() in initials:
                    yield from (
                        part.span() for each in self._tokens(part.group()) if each in tokens
                    )
            if len(parts) > 1 and word.group().lower() in tokens:
                yield start, end

    def _tokens(self, word: str) -> Iterator[str]:
        parts = PART.findall(word) if len(word) <= MAX_WORD_CHARS else [word[:MAX_WORD_CHARS]]
        for part in parts:
            lower = part.lower()
            if lower not in STOP_WORDS:
                yield self._stem(lower)
        if len(parts) > 1:
            yield word.lower()[:MAX_WORD_CHARS]
