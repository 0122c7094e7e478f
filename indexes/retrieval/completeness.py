"""What a search could not look at, so that an answer which is not whole says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
Reason = Literal["rebuilding", "ingesting", "no_embedder", "not_reranked", "cut_off"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Why the answer of a search may lack something of an index. `message` is for people."""

    index: str
    reason: Reason
    message: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class SearchResults(list[T], Generic[T]):
    """What a search found, best first; `gaps` say what it may lack."""

    def __init__(self, items: Iterable[T] = (), gaps: Sequence[Gap] = ()) -> None:
        super().__init__(items)
        self.gaps = tuple(dict.fromkeys(gaps))

    @property
    def complete(self) -> bool:
        return not self.gaps

    def completeness(self) -> dict[str, Any]:
        """Return the fields that an answer has beside its items: `gaps` only if any."""
        if self.complete:
            return {"complete": True}
        return {"complete": False, "gaps": [gap.as_dict() for gap in self.gaps]}


def rebuilding(index: str, searchable_share: float) -> Gap:
    """Describe an index whose search files were lost or are older than its documents."""
    return Gap(
        index,
        "rebuilding",
        f"The search files of '{index}' are being built anew; about "
        f"{min(99, int(100 * searchable_share))} % of its passages can be searched yet.",
    )


def ingesting(index: str) -> Gap:
    """Describe an index that documents are being added to."""
    return Gap(
        index,
        "ingesting",
        f"Documents are being added to '{index}'; some cannot be searched yet.",
    )


def no_embedder(index: str) -> Gap:
    """Describe an index whose vectors cannot be compared with the query's."""
    return Gap(
        index,
        "no_embedder",
        f"The model that embedded '{index}' cannot be had; it was searched by keywords alone.",
    )


def not_reranked(index: str, why: str) -> Gap:
    """Describe an answer in the order of the search, because its reranker failed."""
    return Gap(
        index, "not_reranked", f"The answer is not sorted by the reranker of '{index}': {why}"
    )


def cut_off(index: str, candidates: int) -> Gap:
    """Describe a search that ended at its bound before it had as much as was asked for."""
    return Gap(
        index,
        "cut_off",
        f"The search of '{index}' ended after {candidates} candidates, most of them alike; a "
        "narrower filter finds more.",
    )
