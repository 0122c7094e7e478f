"""How a text is read aloud: its sentences, without the marks that are only for the eye. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.text.sentences import split_sentences

STRETCH_CHARS = 10_000

_HEADING = re.compile(r"^#{1,6}\s+|\s+#+$")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_EMPHASIS = re.compile(r"(?<!\w)[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}(?!\w)")
_CELL = re.compile(r"\s*\|\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


def split_for_speech(text: str, max_chars: int) -> list[str]:
    """Split a text into its sentences, none over `max_chars`; only those that hold a word."""
    readable = text.encode(errors="replace").decode()
    sentences = (readable[each.start : each.end] for each in split_sentences(readable))
    parts = (part for sentence in sentences for part in _bounded(_plain(sentence), max_chars))
    return [part for part in parts if any(character.isalnum() for character in part)]


def stretches(text: str) -> Iterator[str]:
    """Cut a text into pieces that can be looked at one after the other.

    Between paragraphs where they can be cut, else between sentences or words.
    """
    while len(text) > STRETCH_CHARS:
        cuts = (text.rfind(mark, 1, STRETCH_CHARS) for mark in ("\n\n", "\n", ". ", " "))
        cut = next((cut + 1 for cut in cuts if cut > STRETCH_CHARS // 2), STRETCH_CHARS)
        yield text[:cut]
        text = text[cut:]
    yield text


def _plain(sentence: str) -> str:
    text = _LINK.sub(r"\1", _HEADING.sub("", sentence))
    text = _CELL.sub(", ", text.strip("| ")) if "|" in text else text
    return _CONTROL.sub(" ", _EMPHASIS.sub("", text)).strip()


def _bounded(sentence: str, max_chars: int) -> Iterator[str]:
    """Cut where one would draw breath, else between words, else anywhere."""
    while len(sentence) > max_chars:
        cuts = (sentence.rfind(mark, 1, max_chars) + 1 for mark in ("; ", ": ", ", ", " "))
        cut = next((cut for cut in cuts if cut > max_chars // 3), max_chars)
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence
