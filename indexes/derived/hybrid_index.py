"""Worker side: one derived index, vectors and keywords of the passages of one collection.

txtai's faiss and BM25, of which neither remembers what was removed: an index after any changes
gives the scores of one built from nothing. Nothing here may be used by two threads.
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

# Exact. Above 5,000 rows txtai would otherwise choose an approximate index without a word.
COMPONENTS = "IDMap,Flat"
VECTORS, KEYWORDS = "vectors", "keywords"


class HybridIndex:
    """Passages by row, ascending by their numbers; rows close up after a removal."""

    def __init__(self) -> None:
        self.numbers: Numbers = np.zeros(0, np.int64)
        self._vectors = Faiss({"backend": "faiss"})
        self._keywords = Keywords()

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, numbers: Sequence[int], tokens: Sequence[list[str]], vectors: Floats) -> None:
        """Append passages. Their numbers are higher than all before."""
        if not len(numbers):
            return
        if self._vectors.backend is None:
            self._vectors.backend = self._vectors.create(vectors, COMPONENTS)
        added = np.array(numbers, np.int64)
        self._vectors.backend.add_with_ids(vectors, added)
        self._keywords.add(tokens)
        self.numbers = np.append(self.numbers, added)

    def delete(self, numbers: Sequence[int]) -> None:
        """Forget passages, also how they weighed on the scores of the others."""
        keep = np.isin(self.numbers, np.array(numbers, np.int64), invert=True)
        if keep.all():
            return
        self._vectors.delete(self.numbers[~keep])
        self._keywords.keep(keep)
        self.numbers = self.numbers[keep]

    def rows(self, numbers: Numbers) -> Numbers:
        """Where passages are, ascending; those that are not here are left out."""
        wanted = np.unique(numbers)
        places = np.searchsorted(self.numbers, wanted)
        inside = places < len(self)
        places, wanted = places[inside], wanted[inside]
        found: Numbers = places[self.numbers[places] == wanted]
        return found

    def cosines(self, vectors: Floats, rows: Numbers | None = None) -> Floats:
        """For each vector the similarity of all passages, or of those in some rows."""
        known = self._matrix() if rows is None else self._matrix()[rows]
        cosines: Floats = vectors @ known.T
        return cosines

    def keywords(self, tokens: Sequence[str]) -> Scores:
        """For each passage how well its words fit, between 0 and 1."""
        return self._keywords.scores(tokens)

    def explained(self, tokens: Sequence[str], rows: Sequence[int]) -> list[dict[str, float]]:
        """For each of some passages what each word adds to its keyword score."""
        return self._keywords.explained(tokens, rows)

    def save_to(self, folder: Path) -> None:
        """Write what there is, and nothing of what was removed. An empty index writes no file."""
        if len(self):
            with (folder / VECTORS).open("wb") as file:
                # faiss's own file is short, without a word, when the disk is full.
                writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
                faiss.write_index(self._vectors.backend, writer)
            self._keywords.save(str(folder / KEYWORDS))

    @classmethod
    def loaded_from(cls, folder: Path) -> HybridIndex:
        """Raises whatever faiss and numpy raise for what they cannot read."""
        index = cls()
        index._vectors.load(str(folder / VECTORS))
        index._keywords.load(str(folder / KEYWORDS))
        index.numbers = faiss.vector_to_array(index._vectors.backend.id_map)
        if not len(index) == index._vectors.count() == len(index._keywords):
            raise ValueError("the parts of the saved index do not agree")
        return index

    def _matrix(self) -> Floats:
        """The vectors where faiss keeps them: valid until the next change."""
        flat: Any = faiss.downcast_index(self._vectors.backend.index)
        size = flat.ntotal * flat.d
        matrix: Floats = faiss.rev_swig_ptr(flat.get_xb(), size).reshape(-1, flat.d)
        return matrix
