"""Worker side: txtai's BM25 over postings that can forget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from indexes.derived.postings import Postings, Rows
from indexes.derived.txtai_parts import BM25

Scores = NDArray[np.float32]
"""One for each row."""


class Keywords(BM25):  # type: ignore[misc]  # txtai has no types
    """Scores passages by the words that they share with a query, between 0 and 1.

    The formula and the normalisation are txtai's. Its statistics are computed from the postings
    after a change; none is carried on, so that none can keep what was removed.
    """

    def __init__(self) -> None:
        super().__init__({"normalize": True})
        self.terms = Postings()
        self._lengths = np.zeros(0, np.float32)
        self._stale = True

    def __len__(self) -> int:
        return len(self.terms)

    def add(self, passages: Sequence[list[str]]) -> None:
        """Append passages, given by their words."""
        self.terms.add(passages)
        self._stale = True

    def keep(self, keep: NDArray[np.bool_]) -> None:
        """Forget all rows but some, which close up."""
        self.terms.keep(keep)
        self._stale = True

    def scores(self, query: Sequence[str]) -> Scores:
        """How well each row fits; 0 where it shares no word."""
        scores = np.zeros(len(self), np.float32)
        for _, rows, weights in self._weighted(query):
            scores[rows] += weights  # a row stands once in each part
        if most := self._most(scores):
            scores = np.minimum(scores / most, 1.0, dtype=np.float32)
        return scores

    def explained(self, query: Sequence[str], rows: Sequence[int]) -> list[dict[str, float]]:
        """For each of some rows what each word of the query adds to its score, before a score
        above 1 is cut."""
        scores = np.zeros(len(self), np.float32)
        shares: list[dict[str, float]] = [{} for _ in rows]
        for word, found, weights in self._weighted(query):
            scores[found] += weights
            for place, at in enumerate(np.searchsorted(found, rows)):
                if at < len(found) and found[at] == rows[place]:
                    shares[place][word] = float(weights[at])
        most = self._most(scores)
        return [{word: round(share / most, 6) for word, share in each.items()} for each in shares]

    def save(self, path: str) -> None:
        self.terms.save(path)

    def load(self, path: str) -> None:
        """Raises what numpy raises for what it cannot read."""
        self.terms.load(path)
        self._stale = True

    def _weighted(self, query: Sequence[str]) -> Iterator[tuple[str, Rows, Scores]]:
        """Each word of the query with rows where it stands and its weight there, in parts."""
        if self._stale:
            self._refresh()
        for word, times in Counter(query).items():
            parts = self.terms.find(word)
            idf = float(self.computeidf(sum(len(rows) for rows, _ in parts)))
            for rows, counts in parts:
                weights = self.score(counts.astype(np.float32), idf, self._lengths[rows])
                yield word, rows, times * weights

    def _most(self, scores: Scores) -> float:
        """The score that counts as 1: txtai's rule, which knows how much the best one can be."""
        best = float(scores.max(initial=0.0))
        return min(best + self.avgscore, 6 * self.avgscore) if best else 0.0

    def _refresh(self) -> None:
        self._lengths = self.terms.lengths.astype(np.float32)
        frequencies = self.terms.frequencies()
        self._stale = False
        if len(frequencies):
            self.total, self.tokens = len(self), int(self.terms.lengths.sum())
            self.avgdl = self.tokens / self.total
            self.avgidf = float(np.mean(self.computeidf(np.sort(frequencies))))
            self.avgscore = float(
                self.score(self.tokens / len(frequencies), self.avgidf, self.avgdl)
            )
