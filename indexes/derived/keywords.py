"""Worker side: scores passages by keywords, with txtai's BM25 over postings that can forget.

Owns the statistics (lengths, averages) that the formula needs; they are computed from the postings
after a change and never carried on, so that none can remember what was removed.
"""

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

    The formula and the normalisation are txtai's (`txtai.scoring.bm25`).
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

    def retain(self, rows: NDArray[np.bool_]) -> None:
        """Forget all rows but those marked, which close up."""
        self.terms.retain(rows)
        self._stale = True

    def scores(self, query: Sequence[str]) -> Scores:
        """Score each row; 0 if it shares no word with the query."""
        scores = np.zeros(len(self), np.float32)
        for _, rows, weights in self._weigh(query):
            scores[rows] += weights  # a row is in each part once
        if full_score := self._full_score(scores):
            scores = np.minimum(scores / full_score, 1.0, dtype=np.float32)
        return scores

    def explain(self, query: Sequence[str], rows: Sequence[int]) -> list[dict[str, float]]:
        """Say what each word of the query adds to the score of some rows, before it is cut at 1."""
        scores = np.zeros(len(self), np.float32)
        shares: list[dict[str, float]] = [{} for _ in rows]
        for word, word_rows, weights in self._weigh(query):
            scores[word_rows] += weights
            for n, at in enumerate(np.searchsorted(word_rows, rows)):
                if at < len(word_rows) and word_rows[at] == rows[n]:
                    shares[n][word] = float(weights[at])
        full_score = self._full_score(scores)
        return [
            {word: round(share / full_score, 6) for word, share in each.items()} for each in shares
        ]

    def save(self, path: str, words_path: str) -> None:
        self.terms.save(path, words_path)

    def load(self, path: str, words_path: str) -> None:
        """Read what `save` wrote. Raises what numpy raises for damaged files."""
        self.terms.load(path, words_path)
        self._stale = True

    def _weigh(self, query: Sequence[str]) -> Iterator[tuple[str, Rows, Scores]]:
        """Yield each word of the query with the rows it is in and its weights there, in parts."""
        if self._stale:
            self._refresh()
        for word, times in Counter(query).items():
            parts = self.terms.find(word)
            idf = float(self.computeidf(sum(len(rows) for rows, _ in parts)))
            for rows, counts in parts:
                weights = self.score(counts.astype(np.float32), idf, self._lengths[rows])
                yield word, rows, times * weights

    def _full_score(self, scores: Scores) -> float:
        """Return the score that counts as 1, by txtai's rule (`txtai.scoring.tfidf`)."""
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
