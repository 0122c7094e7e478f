"""What of a sentence must stand in its source word for word: numbers, dates, names, identifiers.

Owns what counts as a fact. A cosine hardly sees a wrong number or name, so these are compared by
themselves; a fact that is missing makes a sentence unsupported, however near it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from graphs.grounding.stopwords import COUNTS, MONTHS

_TOKEN = re.compile(r"[^\s,;()\[\]{}\"“”«»!?]+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CODE = re.compile(r"`([^`]+)`")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s|%|°)?")
_MAX_CAPITALS = 0.25
"""Share of words with a capital; above it, capitals are how a language writes nouns, or titles."""


@dataclass(frozen=True)
class SourceText:
    """Cited text, prepared for looking up facts."""

    lowered: str
    numbers: frozenset[str]
    names: bool
    """Whether a capital letter within a sentence means a name in this text."""

    @classmethod
    def of(cls, text: str) -> SourceText:
        """Prepare a text."""
        words = [word for word in re.findall(r"(?<=[a-zäöüß,] )\w+", text) if len(word) > 1]
        capitals = sum(word[0].isupper() for word in words)
        names = capitals <= _MAX_CAPITALS * len(words)
        return cls(text.casefold(), frozenset(_numbers(text)), names)


def missing_facts(sentence: str, source: SourceText) -> list[str]:
    """Return the facts of a sentence that its source does not have, as the sentence writes them."""
    lacking = [number for number in _numbers(sentence) if number not in source.numbers]
    plain = _CODE.sub(" ", sentence)
    for code in _CODE.findall(sentence):
        lacking += [word for word in code.split() if word.casefold() not in source.lowered]
    for number, token in enumerate(_TOKEN.findall(plain)):
        name = _bare(token)
        if _is_name(name, number == 0, source.names) and not _has_name(source, name):
            lacking.append(name)
    return list(dict.fromkeys(lacking))


def _numbers(text: str) -> list[str]:
    digits = [_normalize_number(number) for number in _NUMBER.findall(text)]
    words = re.findall(r"[a-z]+", text.casefold())
    return digits + [str(COUNTS[word]) for word in words if word in COUNTS]


def _normalize_number(number: str) -> str:
    """Write a number without separators and leading zeros: `1,000` is 1000 and `07` is 7."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", number):
        number = number.replace(",", "")
    return number.lstrip("0") or "0" if number.isdigit() else number


def _bare(token: str) -> str:
    name = token.strip("*`'’‘.:…<>–—")
    return re.sub(r"['’]s?$", "", name)


def _is_name(name: str, first: bool, capitals: bool) -> bool:
    """Tell whether a word is a name; of a first word, more than its first letter must say so."""
    if len(name) < 2 or _ORDINAL.fullmatch(name) or name.casefold() in COUNTS:
        return False
    identifier = bool(re.search(r"\w[_/.:=]+\w|^--?\w|\w::|^[./]\w", name)) and not re.fullmatch(
        r"(?:\w\.)+\w?", name
    )
    inner = any(letter.isupper() for letter in name[1:])
    mixed = any(c.isdigit() for c in name) and any(c.isalpha() for c in name)
    return identifier or inner or mixed or (capitals and not first and name[0].isupper())


def _has_name(source: SourceText, name: str) -> bool:
    lowered = name.casefold()
    if lowered in source.lowered or lowered.removesuffix("s") in source.lowered:
        return True
    if str(MONTHS.get(lowered)) in source.numbers:
        return True
    parts = re.split(r"[/–-]", lowered)
    return len(parts) > 1 and all(part in source.lowered for part in parts)
