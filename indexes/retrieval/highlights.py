"""Finds where in a passage the words of a query stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from indexes.derived.tokens import Tokenizer
from indexes.records import Passage

MAX_HIGHLIGHTS = 200
"""In one passage."""


def add_highlights(tokenize: Tokenizer, query: str, passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages with the spans, in their texts, of the words that match the query's."""
    terms = frozenset(tokenize(query))
    return [
        replace(passage, highlights=_matching_spans(tokenize, terms, passage.text))
        for passage in passages
    ]


def _matching_spans(tokenize: Tokenizer, terms: frozenset[str], text: str) -> list[tuple[int, int]]:
    """Return the spans in order, those that touch joined: an identifier and its parts are one."""
    spans = sorted(tokenize.spans(text, terms))
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined[:MAX_HIGHLIGHTS]
