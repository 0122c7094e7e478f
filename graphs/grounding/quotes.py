"""Finding words of an answer in a text, whatever its white space, case, quotation and emphasis.

Owns what does not matter between a quote and its source. Invariant: a span that is found is one of
the original text, never of the normalized one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_DROPPED = frozenset("*_`\"'“”‘’«»„")
_BEFORE_PUNCTUATION = frozenset(".,;:!?")
_SENTENCE_ENDS = frozenset(".!?…")
_DASHES = {"–": "-", "—": "-", "‑": "-"}
MIN_QUOTE_CHARS = 12
"""A shorter text stands somewhere in any passage."""


@dataclass(frozen=True)
class NormalizedText:
    """A text without what does not matter; `text[i]` stands at `offsets[i]` in the original."""

    text: str
    offsets: list[int] = field(repr=False)
    original: str = field(repr=False)

    @classmethod
    def of(cls, original: str) -> NormalizedText:
        """Normalize a text, and remember where each letter stood."""
        letters: list[str] = []
        offsets: list[int] = []
        for offset, letter in enumerate(original):
            if letter in _DROPPED:
                continue
            if letter.isspace():
                if not letters or letters[-1] == " ":
                    continue
                letter = " "
            elif letter in _BEFORE_PUNCTUATION and letters and letters[-1] == " ":
                letters.pop()
                offsets.pop()
            # A letter may become several, as "ß" does: each has the offset of the one it was.
            for lowered in _DASHES.get(letter, letter.casefold()):
                letters.append(lowered)
                offsets.append(offset)
        return cls("".join(letters), offsets, original)

    def find(self, quote: str) -> tuple[int, int] | None:
        """Return start and end of these words in the original; None where they are not.

        Only whole words are found, at least two of them.
        """
        words = NormalizedText.of(quote).text.strip(" .,;:!?…-")
        if len(words) < MIN_QUOTE_CHARS or " " not in words:
            return None
        match = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", self.text)
        if match is None:
            return None
        return self._widen(self.offsets[match.start()], self.offsets[match.end() - 1] + 1)

    def _widen(self, start: int, end: int) -> tuple[int, int]:
        """Add the quotation marks and the like around a span, and the end of its sentence."""
        while start and self.original[start - 1] in _DROPPED:
            start -= 1
        for closing in (_DROPPED, _SENTENCE_ENDS, _DROPPED):
            while end < len(self.original) and self.original[end] in closing:
                end += 1
        return start, end
