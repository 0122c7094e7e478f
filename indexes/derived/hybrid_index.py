"""Worker side: one derived index, the vectors and keywords of the passages of one index.

Owns the rows: a passage's vector in faiss and its words in the postings stand at the same row.

Invariants: an index after any changes gives exactly the scores of one built from nothing, so
neither part remembers what was removed. One thread alone uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexes.derived.keywords import Keywords, Scores
from indexes.derived.txtai_parts import Faiss

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

FAISS_FACTORY = "IDMap,Flat"
"""Exact. Above 5,000 rows txtai would otherwise choose an approximate index without a word."""
VECTORS_NAME = "vectors"
KEYWORDS_NAME = "keywords"
WORDS_NAME = "words"


class HybridIndex:
    """Passages by row, ascending by their numbers; rows close up after a removal."""

    def __init__(self) -> None:
        self.numbers: Numbers = np.zeros(0, np.int64)
        self._vectors = Faiss({"backend": "faiss"})
        self._keywords = Keywords()

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, numbers: Sequence[int], tokens: Sequence[list[str]], vectors: Floats) -> None:
        """Append passages; their numbers ascend and are higher than all before."""
        if not len(numbers):
            return
        if self._vectors.backend is None:
            self._vectors.backend = self._vectors.create(vectors, FAISS_FACTORY)
        added = np.array(numbers, np.int64)
        self._vectors.backend.add_with_ids(vectors, added)
        self._keywords.add(tokens)
        self.numbers = np.append(self.numbers, added)

    def delete(self, numbers: Sequence[int]) -> None:
        """Forget passages, also how they weighed on the scores of the others."""
        remaining = np.isin(self.numbers, np.array(numbers, np.int64), invert=True)
        if remaining.all():
            return
        self._vectors.delete(self.numbers[~remaining])
        self._keywords.retain(remaining)
        self.numbers = self.numbers[remaining]

    def rows(self, numbers: Numbers) -> Numbers:
        """Return the rows of passages, ascending; those that are not here are left out."""
        unique = np.unique(numbers)
        rows = np.searchsorted(self.numbers, unique)
        inside = rows < len(self)
        rows, unique = rows[inside], unique[inside]
        existing: Numbers = rows[self.numbers[rows] == unique]
        return existing

    def cosines(self, vectors: Floats, rows: Numbers | None = None) -> Floats:
        """Compare vectors with all passages, or with those in some rows: a row for each vector.

        Both sides have length 1, so the product is the cosine.
        """
        passages = self._matrix() if rows is None else self._matrix()[rows]
        cosines: Floats = vectors @ passages.T
        return cosines

    def keywords(self, tokens: Sequence[str]) -> Scores:
        """Score how well each passage's words fit, between 0 and 1."""
        return self._keywords.scores(tokens)

    def explain(self, tokens: Sequence[str], rows: Sequence[int]) -> list[dict[str, float]]:
        """Say what each word adds to the keyword score of the passages in some rows."""
        return self._keywords.explain(tokens, rows)

    def save_to(self, folder: Path) -> None:
        """Write what there is, and nothing of what was removed; for an empty index, no file."""
        if len(self):
            with (folder / VECTORS_NAME).open("wb") as file:
                # faiss's own file is short, without a word, when the disk is full.
                writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
                faiss.write_index(self._vectors.backend, writer)
            self._keywords.save(str(folder / KEYWORDS_NAME), str(folder / WORDS_NAME))

    def used_words(self) -> set[str]:
        """Return the words that are in any passage."""
        return self._keywords.terms.used_words()

    @classmethod
    def load_from(cls, folder: Path, words_name: str = WORDS_NAME) -> HybridIndex:
        """Read what `save_to` wrote. Raises whatever faiss and numpy raise for damaged files."""
        index = cls()
        index._vectors.load(str(folder / VECTORS_NAME))
        index._keywords.load(str(folder / KEYWORDS_NAME), str(folder / words_name))
        index.numbers = faiss.vector_to_array(index._vectors.backend.id_map)
        if not len(index) == index._vectors.count() == len(index._keywords):
            raise ValueError("the parts of the saved index do not agree")
        return index

    def _matrix(self) -> Floats:
        """View the vectors in faiss's own memory, without a copy: valid until the next change."""
        flat: Any = faiss.downcast_index(self._vectors.backend.index)
        size = flat.ntotal * flat.d
        matrix: Floats = faiss.rev_swig_ptr(flat.get_xb(), size).reshape(-1, flat.d)
        return matrix
