"""Evidence as an answer: sentences of the passages, each with the number of its passage. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from models.backends.reader.evidence import EvidenceWindow


class QuotePiece(NamedTuple):
    """A piece of a quoting answer, with the place of the sentence that it quotes."""

    text: str
    citation: dict[str, Any] | None


def quote_windows(
    passages: Sequence[Mapping[str, Any]], windows: Sequence[EvidenceWindow]
) -> Iterator[QuotePiece]:
    """Quote windows, each a paragraph; citations have their spans in the document's text."""
    for number, window in enumerate(windows):
        if number:
            yield QuotePiece("\n\n", None)
        yield from _quote_window(passages[window.passage], window)


def _quote_window(passage: Mapping[str, Any], window: EvidenceWindow) -> Iterator[QuotePiece]:
    text, number = str(passage["text"]), window.passage + 1
    for index, sentence in enumerate(window.sentences):
        quote = text[sentence.start : sentence.end]
        gap = text[window.sentences[index - 1].end : sentence.start] if index else ""
        between = "\n" if "\n" in gap else " " if index else ""
        citation = _citation(number, passage, sentence.start, sentence.end, quote)
        yield QuotePiece(f"{between}{quote} [{number}]", citation)


def _citation(
    number: int, passage: Mapping[str, Any], start: int, end: int, text: str
) -> dict[str, Any]:
    begin = int(passage.get("start") or 0)
    return {
        "n": number,
        "passage": passage.get("id"),
        "start": begin + start,
        "end": begin + end,
        "text": text,
    }
