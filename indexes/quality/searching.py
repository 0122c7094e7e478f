"""Searches whose answers are measured: only whole ones count."""

from __future__ import annotations

from config.errors import Unavailable
from indexes.index import Index
from indexes.records import Passage

RETRY_AFTER_S = 30.0


async def search_whole(index: Index, question: str, limit: int) -> list[Passage]:
    """Search an index. Raises `Unavailable` (`search_incomplete`) where the answer may lack
    something, since numbers of it would be wrong."""
    results = await index.search(question, limit=limit)
    lacking = [gap for gap in results.gaps if gap.reason != "cut_off"]
    if lacking:
        raise Unavailable(
            f"{lacking[0].message} Measure it when it is whole.",
            code="search_incomplete",
            retry_after_s=RETRY_AFTER_S,
        )
    return results
