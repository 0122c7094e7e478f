"""Worker side: one derived index, txtai's vectors and BM25 around the passages of one collection.

It holds no text but its words. Nothing here may be used by two threads: they end the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from txtai.embeddings import Embeddings

Floats = NDArray[np.float32]
Scores = dict[int, float]
"""By position: where txtai keeps a passage."""

CONFIG: dict[str, Any] = {
    "method": "external",  # vectors are handed in; left alone txtai would load a model
    "content": False,  # so that no query is ever read as SQL, and no text is kept twice
    "backend": "faiss",
    # Exact. Above 5,000 rows txtai would otherwise choose an approximate index without a word.
    "faiss": {"components": "IDMap,Flat"},
    "scoring": {"method": "bm25", "terms": True, "normalize": True, "columns": {"text": "tokens"}},
}


class Derived(Embeddings):  # type: ignore[misc]  # txtai has no types
    """Vectors and keywords of passages, which are known by their numbers."""

    def __init__(self) -> None:
        # txtai writes into its configuration.
        super().__init__({**CONFIG, "scoring": {**CONFIG["scoring"]}})
        self._positions: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._positions)

    def numbers(self, positions: Sequence[int]) -> list[int]:
        return [self.ids[position] for position in positions]

    def positions(self, numbers: Sequence[int]) -> list[int]:
        """Where passages are; those that are not here are left out."""
        return [self._positions[number] for number in numbers if number in self._positions]

    def add(self, numbers: Sequence[int], tokens: Sequence[list[str]], vectors: Floats) -> None:
        if not numbers:
            return
        columns = zip(numbers, vectors, tokens, strict=True)
        # txtai's `upsert` starts afresh when it is empty.
        first = len(self.ids.ids) if self.count() else 0
        self.upsert(
            (number, {"text": row, "tokens": words}, None) for number, row, words in columns
        )
        self._positions.update(zip(numbers, range(first, first + len(numbers)), strict=True))

    def delete(self, ids: Sequence[int]) -> list[int]:
        """Forget passages. txtai's own looks through all rows for each of them, also to add one."""
        gone = [number for number in ids if number in self._positions]
        positions = [self._positions.pop(number) for number in gone]
        for position in positions:
            self.ids[position] = None
        if positions:
            self.ann.delete(positions)
            self.scoring.delete(positions)
        return gone

    def nearest(self, vectors: Floats, limit: int) -> list[Scores]:
        """The most similar passages to each vector, and their cosines."""
        found = self.ann.search(vectors, min(limit, len(self)))
        return [dict(row) for row in found]

    def similarity_to(self, vector: Floats, positions: Sequence[int]) -> Scores:
        """The cosines of certain passages."""
        if not positions:
            return {}
        chosen = faiss.IDSelectorBatch(np.array(positions, dtype=np.int64))
        parameters = faiss.SearchParameters(sel=chosen)  # type: ignore[call-arg]
        scores, found = self.ann.backend.search(vector[None], len(positions), params=parameters)
        return dict(zip(found[0].tolist(), scores[0].tolist(), strict=True))

    def matching(self, tokens: list[str], limit: int) -> Scores:
        """The passages that share words with the query, scored between 0 and 1."""
        if not tokens:
            return {}
        return dict(self.scoring.search(tokens, limit))

    def save_to(self, folder: str) -> None:
        self.save(folder)
        self._detach()

    @classmethod
    def loaded_from(cls, folder: str) -> Derived:
        """Raises whatever txtai and faiss raise for what they cannot read."""
        index = cls()
        index.load(folder)
        index._detach()
        index._positions = {
            number: position for position, number in enumerate(index.ids) if number is not None
        }
        if not len(index) == index.ann.count() == index.scoring.count():
            raise ValueError("the parts of the saved index do not agree")
        return index

    def _detach(self) -> None:
        """Take the terms back into memory: txtai goes on writing where it saved to or loaded from,
        and a saved folder must never change."""
        terms = self.scoring.terms
        memory = terms.connect()
        terms.connection.backup(memory)
        terms.connection.close()
        terms.connection, terms.cursor, terms.path = memory, memory.cursor(), None
