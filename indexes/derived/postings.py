"""Worker side: which words are in which passages, so that both can be forgotten exactly.

txtai's own term store marks what was deleted and keeps its words and statistics. Here everything
that a score depends on is computed from postings that are, so that an index after any changes
equals one built from nothing. Rows are positions of passages; they close up after a removal.

New postings go to a tail, which is merged into the base when it has grown too large: each posting
is then moved a few times instead of at every batch. Searches read both.
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

MIN_TAIL_POSTINGS = 50_000
MAX_TAIL_SHARE = 0.125
"""A tail above both, in postings and as a share of the base, is merged into the base."""
MAX_COUNT = np.iinfo(np.uint16).max
"""A word that is in a passage more often counts as that often."""


@dataclass(frozen=True, slots=True)
class PostingsSegment:
    """Postings by word: those of word `w` are `rows[starts[w]:starts[w + 1]]`, ascending."""

    starts: Ints
    rows: Rows
    counts: Counts

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def words(self) -> int:
        return len(self.starts) - 1

    def slice_of(self, word: int) -> slice:
        """Return where the postings of a word are."""
        return slice(*self.starts[word : word + 2]) if word < self.words else slice(0, 0)

    def frequencies(self, words: int) -> Ints:
        """Count the rows that each of the first `words` words is in."""
        return np.diff(self.starts, append=np.full(words - self.words, len(self)))

    def retain(self, rows: NDArray[np.bool_]) -> PostingsSegment:
        """Copy the postings of the marked rows, which close up."""
        remaining = rows[self.rows]
        new_rows = np.cumsum(rows, dtype=np.int32) - 1
        before = np.concatenate(([0], np.cumsum(remaining)))
        return PostingsSegment(
            before[self.starts], new_rows[self.rows[remaining]], self.counts[remaining]
        )

    def merge(self, later: PostingsSegment) -> PostingsSegment:
        """Copy both into one; the rows of `later` come after those here."""
        words = max(self.words, later.words)
        mine, theirs = self.frequencies(words), later.frequencies(words)
        starts = np.concatenate(([0], np.cumsum(mine + theirs)))
        return PostingsSegment(
            starts,
            _interleave(self.rows, later.rows, mine, theirs),
            _interleave(self.counts, later.counts, mine, theirs),
        )


def _interleave(first: NDArray, second: NDArray, mine: Ints, theirs: Ints) -> NDArray:  # type: ignore[type-arg]
    """Join two arrays, word by word the first's part, then the second's."""
    sizes = np.stack((mine, theirs), axis=1).ravel()
    from_first = np.repeat(np.arange(len(sizes)) % 2 == 0, sizes)
    joined = np.empty(len(first) + len(second), first.dtype)
    joined[from_first], joined[~from_first] = first, second
    return joined


def empty_segment() -> PostingsSegment:
    return PostingsSegment(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint16))


class Postings:
    """The words of passages, by row."""

    def __init__(self) -> None:
        self.lengths = np.zeros(0, np.int32)
        self._words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._base = empty_segment()
        self._tail = empty_segment()

    def __len__(self) -> int:
        return len(self.lengths)

    def add(self, passages: Sequence[list[str]]) -> None:
        """Append a row for each passage's words."""
        new = self._segment(passages, len(self))
        self.lengths = np.append(self.lengths, np.array([len(p) for p in passages], np.int32))
        self._tail = self._tail.merge(new)
        if len(self._tail) > max(MIN_TAIL_POSTINGS, MAX_TAIL_SHARE * len(self._base)):
            self._base, self._tail = self._base.merge(self._tail), empty_segment()

    def retain(self, rows: NDArray[np.bool_]) -> None:
        """Forget all rows but those marked, which close up."""
        self.lengths = self.lengths[rows]
        self._base, self._tail = self._base.retain(rows), self._tail.retain(rows)

    def find(self, word: str) -> list[tuple[Rows, Counts]]:
        """Return the rows that a word is in, and how often, in up to two parts."""
        number = self._numbers.get(word)
        if number is None:
            return []
        slices = [(each, each.slice_of(number)) for each in (self._base, self._tail)]
        return [(part.rows[at], part.counts[at]) for part, at in slices if at.start < at.stop]

    def frequencies(self) -> Ints:
        """Count the rows of each word that is in any."""
        frequencies = self._frequencies()
        return frequencies[frequencies > 0]

    def _frequencies(self) -> Ints:
        words = len(self._words)
        return self._base.frequencies(words) + self._tail.frequencies(words)

    def _segment(self, passages: Sequence[list[str]], first: int) -> PostingsSegment:
        numbers: list[int] = []
        counts: list[int] = []
        rows: list[int] = []
        for row, passage in enumerate(passages, first):
            word_counts = Counter(passage)
            numbers += self._number(word_counts)
            counts += word_counts.values()
            rows += repeat(row, len(word_counts))
        words = np.array(numbers, np.int64)
        order = np.argsort(words, kind="stable")
        sizes = np.bincount(words, minlength=len(self._words))
        return PostingsSegment(
            np.concatenate(([0], np.cumsum(sizes))),
            np.array(rows, np.int32)[order],
            np.minimum(np.array(counts, np.int64), MAX_COUNT).astype(np.uint16)[order],
        )

    def _number(self, words: Iterable[str]) -> list[int]:
        """Number words, the new ones after all others."""
        numbers = self._numbers
        numbered = []
        for word in words:
            if (number := numbers.get(word)) is None:
                number = numbers[word] = len(self._words)
                self._words.append(word)
            numbered.append(number)
        return numbered

    def used_words(self) -> set[str]:
        """Return the words that are in any passage."""
        used = self._frequencies() > 0
        return {word for word, use in zip(self._words, used, strict=True) if use}

    # On disk: words in a file of their own, so that they can be redacted without the rest

    def save(self, path: str, words_path: str) -> None:
        """Write everything, but no word that is in no passage any more."""
        self._forget_words()
        self._base, self._tail = self._base.merge(self._tail), empty_segment()
        base = self._base
        with open(words_path, "wb") as file:
            file.write("\n".join(self._words).encode())
        with open(path, "wb") as file:
            for array in (self.lengths, base.starts, base.rows, base.counts):
                np.save(file, array, allow_pickle=False)

    def load(self, path: str, words_path: str) -> None:
        """Read what `save` wrote; redacted words are empty. Raises what numpy raises for damaged
        files."""
        with open(path, "rb") as file:
            arrays = [np.load(file, allow_pickle=False) for _ in range(4)]
        with open(words_path, "rb") as file:
            words = file.read()
        self._words = words.decode().split("\n") if len(arrays[1]) > 1 else []
        self._numbers = {word: number for number, word in enumerate(self._words) if word}
        self.lengths = arrays[0]
        self._base, self._tail = PostingsSegment(*arrays[1:]), empty_segment()

    def _forget_words(self) -> None:
        """Drop words without postings: deleted documents may have been the only ones with them."""
        used = self._frequencies() > 0
        if used.all():
            return
        self._words = [word for word, use in zip(self._words, used, strict=True) if use]
        self._numbers = {word: number for number, word in enumerate(self._words) if word}
        self._base, self._tail = (_narrow(each, used) for each in (self._base, self._tail))


def _narrow(segment: PostingsSegment, used: NDArray[np.bool_]) -> PostingsSegment:
    starts = np.append(segment.starts[:-1][used[: segment.words]], len(segment))
    return PostingsSegment(starts, segment.rows, segment.counts)
