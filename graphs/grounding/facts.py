"""What of a sentence must stand in its source word for word: numbers, dates, names, identifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from graphs.grounding.stopwords import COUNTS, MONTHS

_TOKEN = re.compile(r"[^\s,;()\[\]{}\"“”«»!?]+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CODE = re.compile(r"`([^`]+)`")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s|%|°)?")
_CAPITALS_SHARE = 0.25  # above it, capitals are how a language writes nouns, or titles


@dataclass(frozen=True)
class Source:
    """Cited text, ready to be asked whether a fact stands in it."""

    folded: str
    numbers: frozenset[str]
    names: bool
    """Whether a capital letter within a sentence means a name in this text."""

    @classmethod
    def of(cls, text: str) -> Source:
        words = [word for word in re.findall(r"(?<=[a-zäöüß,] )\w+", text) if len(word) > 1]
        capitals = sum(word[0].isupper() for word in words)
        folded = text.casefold()
        return cls(folded, frozenset(_numbers(text)), capitals <= _CAPITALS_SHARE * len(words))


def missing(sentence: str, source: Source) -> list[str]:
    """The facts of a sentence that its source does not have, as the sentence writes them."""
    lacking = [number for number in _numbers(sentence) if number not in source.numbers]
    plain = _CODE.sub(" ", sentence)
    for code in _CODE.findall(sentence):
        lacking += [word for word in code.split() if word.casefold() not in source.folded]
    for place, token in enumerate(_TOKEN.findall(plain)):
        name = _bare(token)
        if _is_name(name, place == 0, source.names) and not _knows(source, name):
            lacking.append(name)
    return list(dict.fromkeys(lacking))


def _numbers(text: str) -> list[str]:
    digits = [_plain(number) for number in _NUMBER.findall(text)]
    words = re.findall(r"[a-z]+", text.casefold())
    return digits + [str(COUNTS[word]) for word in words if word in COUNTS]


def _plain(number: str) -> str:
    """`1,000` is 1000 and `07` is 7."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", number):
        number = number.replace(",", "")
    return number.lstrip("0") or "0" if number.isdigit() else number


def _bare(token: str) -> str:
    name = token.strip("*`'’‘.:…<>–—")
    return re.sub(r"['’]s?$", "", name)


def _is_name(name: str, first: bool, capitals: bool) -> bool:
    """A first word is a name where more than its first letter says so."""
    if len(name) < 2 or _ORDINAL.fullmatch(name) or name.casefold() in COUNTS:
        return False
    identifier = bool(re.search(r"\w[_/.:=]+\w|^--?\w|\w::|^[./]\w", name)) and not re.fullmatch(
        r"(?:\w\.)+\w?", name
    )
    inner = any(letter.isupper() for letter in name[1:])
    mixed = any(c.isdigit() for c in name) and any(c.isalpha() for c in name)
    return identifier or inner or mixed or (capitals and not first and name[0].isupper())


def _knows(source: Source, name: str) -> bool:
    folded = name.casefold()
    if folded in source.folded or folded.removesuffix("s") in source.folded:
        return True
    if str(MONTHS.get(folded)) in source.numbers:
        return True
    parts = re.split(r"[/–-]", folded)
    return len(parts) > 1 and all(part in source.folded for part in parts)
