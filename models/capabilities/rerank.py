"""Reranking: how well texts answer a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Rerank(Protocol):
    """Reads a query and a text together, which says more than two vectors do, and slower."""

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score how well each text answers the query, in order: 0 to 1, more is better.

        What is too long for the model is cut at its end. Raises `Unavailable` when the model died
        and cannot be had again.
        """
        ...
