"""The same text cut in several ways, because servers send it in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator


def cuts(text: str) -> Iterator[list[str]]:
    """Yield the text whole, by the letter, and in pieces of a few letters."""
    for size in (len(text) or 1, 1, 2, 3, 5, 7):
        yield [text[begin : begin + size] for begin in range(0, len(text), size)]
