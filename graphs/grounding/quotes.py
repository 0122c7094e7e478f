"""Finding words of an answer in a text, whatever its white space, case, quotation and emphasis."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_DROPPED = frozenset("*_`\"'“”‘’«»„")
_BEFORE_PUNCTUATION = frozenset(".,;:!?")
_ENDS = frozenset(".!?…")
_DASHES = {"–": "-", "—": "-", "‑": "-"}
MIN_CHARS = 12  # a shorter text stands somewhere in any passage


@dataclass(frozen=True)
class NormalizedText:
    """A text without what does not matter; `text[i]` stands at `places[i]` in the original."""

    text: str
    places: list[int] = field(repr=False)
    original: str = field(repr=False)

    @classmethod
    def of(cls, original: str) -> NormalizedText:
        kept: list[str] = []
        places: list[int] = []
        for place, letter in enumerate(original):
            if letter in _DROPPED:
                continue
            if letter.isspace():
                if not kept or kept[-1] == " ":
                    continue
                letter = " "
            elif letter in _BEFORE_PUNCTUATION and kept and kept[-1] == " ":
                kept.pop()
                places.pop()
            for folded in _DASHES.get(letter, letter.casefold()):
                kept.append(folded)
                places.append(place)
        return cls("".join(kept), places, original)

    def find(self, quote: str) -> tuple[int, int] | None:
        """Where the original has these words, from start to end; whole words only."""
        wanted = NormalizedText.of(quote).text.strip(" .,;:!?…-")
        if len(wanted) < MIN_CHARS or " " not in wanted:
            return None
        found = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", self.text)
        if found is None:
            return None
        return self._dressed(self.places[found.start()], self.places[found.end() - 1] + 1)

    def _dressed(self, start: int, end: int) -> tuple[int, int]:
        """The span with the quotation marks and the like around it, and the end of its sentence."""
        while start and self.original[start - 1] in _DROPPED:
            start -= 1
        for closing in (_DROPPED, _ENDS, _DROPPED):
            while end < len(self.original) and self.original[end] in closing:
                end += 1
        return start, end
