"""Worker side: which words stand in which passages, so that both can be forgotten exactly.

txtai's own term store marks what was deleted and keeps its words and statistics. Here everything
that a score depends on is computed from postings that are, so that an index after any changes
equals one built from nothing. Rows are positions of passages; they close up after a removal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Counts = NDArray[np.uint16]

TAIL_LEAST, TAIL_SHARE = 50_000, 0.125
"""New postings are merged into a small tail, and that into the rest when it has grown too large."""
MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class Segment:
    """Postings by word: those of word `w` are `rows[starts[w]:starts[w + 1]]`, ascending."""

    starts: Ints
    rows: Rows
    counts: Counts

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def words(self) -> int:
        return len(self.starts) - 1

    def of(self, word: int) -> slice:
        """Where the postings of a word are."""
        return slice(*self.starts[word : word + 2]) if word < self.words else slice(0, 0)

    def frequencies(self, words: int) -> Ints:
        """In how many rows each of `words` words stands."""
        return np.diff(self.starts, append=np.full(words - self.words, len(self)))

    def without(self, keep: NDArray[np.bool_]) -> Segment:
        """What remains when only some rows are kept."""
        kept = keep[self.rows]
        moved = np.cumsum(keep, dtype=np.int32) - 1
        before = np.concatenate(([0], np.cumsum(kept)))
        return Segment(before[self.starts], moved[self.rows[kept]], self.counts[kept])

    def merged(self, later: Segment) -> Segment:
        """Both; the rows of `later` come after those here."""
        words = max(self.words, later.words)
        mine, theirs = self.frequencies(words), later.frequencies(words)
        starts = np.concatenate(([0], np.cumsum(mine + theirs)))
        return Segment(
            starts,
            _interleaved(self.rows, later.rows, mine, theirs),
            _interleaved(self.counts, later.counts, mine, theirs),
        )


def _interleaved(first: NDArray, second: NDArray, mine: Ints, theirs: Ints) -> NDArray:  # type: ignore[type-arg]
    """Word for word the one's, then the other's."""
    sizes = np.stack((mine, theirs), axis=1).ravel()
    from_first = np.repeat(np.arange(len(sizes)) % 2 == 0, sizes)
    joined = np.empty(len(first) + len(second), first.dtype)
    joined[from_first], joined[~from_first] = first, second
    return joined


def empty() -> Segment:
    return Segment(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint16))


class Postings:
    """The words of passages, by row."""

    def __init__(self) -> None:
        self.lengths = np.zeros(0, np.int32)
        self._words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._base = empty()
        self._tail = empty()

    def __len__(self) -> int:
        return len(self.lengths)

    def add(self, passages: Sequence[list[str]]) -> None:
        """Append a row for each passage's words."""
        new = self._segment(passages, len(self))
        self.lengths = np.append(self.lengths, np.array([len(p) for p in passages], np.int32))
        self._tail = self._tail.merged(new)
        if len(self._tail) > max(TAIL_LEAST, TAIL_SHARE * len(self._base)):
            self._base, self._tail = self._base.merged(self._tail), empty()

    def keep(self, keep: NDArray[np.bool_]) -> None:
        """Forget all rows but some, which close up."""
        self.lengths = self.lengths[keep]
        self._base, self._tail = self._base.without(keep), self._tail.without(keep)

    def find(self, word: str) -> list[tuple[Rows, Counts]]:
        """Where a word stands, and how often, in parts."""
        number = self._numbers.get(word)
        if number is None:
            return []
        found = [(each, each.of(number)) for each in (self._base, self._tail)]
        return [(part.rows[at], part.counts[at]) for part, at in found if at.start < at.stop]

    def frequencies(self) -> Ints:
        """For each word that stands anywhere, in how many rows it does."""
        found = self._frequencies()
        return found[found > 0]

    def _frequencies(self) -> Ints:
        words = len(self._words)
        return self._base.frequencies(words) + self._tail.frequencies(words)

    def _segment(self, passages: Sequence[list[str]], first: int) -> Segment:
        numbers: list[int] = []
        counts: list[int] = []
        rows: list[int] = []
        for row, passage in enumerate(passages, first):
            found = Counter(passage)
            numbers += self._known(found)
            counts += found.values()
            rows += repeat(row, len(found))
        words = np.array(numbers, np.int64)
        order = np.argsort(words, kind="stable")
        sizes = np.bincount(words, minlength=len(self._words))
        return Segment(
            np.concatenate(([0], np.cumsum(sizes))),
            np.array(rows, np.int32)[order],
            np.minimum(np.array(counts, np.int64), MOST).astype(np.uint16)[order],
        )

    def _known(self, words: Iterable[str]) -> list[int]:
        numbers = self._numbers
        found = []
        for word in words:
            if (number := numbers.get(word)) is None:
                number = numbers[word] = len(self._words)
                self._words.append(word)
            found.append(number)
        return found

    # On disk

    def save(self, path: str) -> None:
        """Write everything, but no word that stands nowhere any more."""
        self._forget_words()
        self._base, self._tail = self._base.merged(self._tail), empty()
        words = np.frombuffer("\n".join(self._words).encode(), np.uint8)
        base = self._base
        with open(path, "wb") as file:
            for array in (self.lengths, words, base.starts, base.rows, base.counts):
                np.save(file, array, allow_pickle=False)

    def load(self, path: str) -> None:
        """Raises what numpy raises for what it cannot read."""
        with open(path, "rb") as file:
            arrays = [np.load(file, allow_pickle=False) for _ in range(5)]
        self.lengths, words = arrays[:2]
        self._words = words.tobytes().decode().split("\n") if len(words) else []
        self._numbers = {word: number for number, word in enumerate(self._words)}
        self._base, self._tail = Segment(*arrays[2:]), empty()

    def _forget_words(self) -> None:
        """Drop words without postings: their places in `starts` are empty."""
        used = self._frequencies() > 0
        if used.all():
            return
        self._words = [word for word, use in zip(self._words, used, strict=True) if use]
        self._numbers = {word: number for number, word in enumerate(self._words)}
        self._base, self._tail = (_narrowed(each, used) for each in (self._base, self._tail))


def _narrowed(segment: Segment, used: NDArray[np.bool_]) -> Segment:
    starts = np.append(segment.starts[:-1][used[: segment.words]], len(segment))
    return Segment(starts, segment.rows, segment.counts)
