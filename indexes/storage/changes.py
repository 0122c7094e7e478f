"""What the derived index has to follow: the changes of an index, in order, in batches.

Reads `passages` (added) and `removals` (removed), which share one numbering for each index; owns
which removals may be forgotten.

Invariant: removals after `saved_change` are kept, so that a derived index opened from its last save
can be brought up to date.
"""

from __future__ import annotations

from collections.abc import Sequence

from indexes.records import Changes
from indexes.retrieval.smoothing import NEIGHBOR_REACH, smooth_rows
from indexes.storage.database import IndexDatabase
from indexes.storage.documents import current_space
from indexes.storage.index_rows import index_deleted

_ADDED = """
    SELECT number, text FROM passages WHERE index_id = ? AND number > ? ORDER BY number LIMIT ?"""
_REMOVED = """
    SELECT number, passage FROM removals
    WHERE index_id = ? AND number > ? ORDER BY number LIMIT ?"""
_VECTORS_BETWEEN = """
    SELECT p.number, p.document, coalesce(v.vector, zeroblob(4 * s.dimensions))
    FROM passages p JOIN spaces s ON s.id = ?
        LEFT JOIN vectors v ON v.space = s.id AND v.hash = p.hash
    WHERE p.index_id = ? AND p.number BETWEEN ? AND ? ORDER BY p.number"""
_WITHOUT_REMOVALS = """
    SELECT id FROM indexes i
    WHERE NOT EXISTS (SELECT 1 FROM removals r WHERE r.index_id = i.id)"""


def get_last_change(database: IndexDatabase, id: str) -> int:
    """Return the number of an index's latest change."""
    rows = database.rows("SELECT last_change FROM indexes WHERE id = ?", id)
    if not rows:
        raise index_deleted()
    ((last_change,),) = rows
    return int(last_change)


def read_changes(
    database: IndexDatabase, id: str, after: int, born: int, limit: int, space: int | None = None
) -> Changes | None:
    """Read the next changes after change `after`; None if there are none.

    At most `limit` passages each are added and removed. Removals up to change `born` are left out:
    a derived index that began from nothing then has never had those passages. `space` names whose
    vectors, if not those that serve for the index; a missing one is zero.
    """
    last_change = get_last_change(database, id)
    added = database.rows(_ADDED, id, after, limit)
    removed = database.rows(_REMOVED, id, max(after, born), limit)
    # A full batch says nothing of what comes behind its last number: the other ends there too.
    full = [rows[-1][0] for rows in (added, removed) if len(rows) == limit]
    upto = min(full, default=last_change)
    if upto <= after:
        return None
    added = [(number, text) for number, text in added if number <= upto]
    numbers = [number for number, _ in added]
    return Changes(
        upto=upto,
        numbers=numbers,
        texts=[text for _, text in added],
        vectors=_smoothed_vectors(database, id, space, numbers),
        removed=[passage for number, passage in removed if number <= upto],
    )


def mark_saved(database: IndexDatabase, id: str, change: int) -> None:
    """Forget the removals up to `change`: the derived index is saved with them."""
    with database.transaction() as connection:
        connection.execute("UPDATE indexes SET saved_change = ? WHERE id = ?", (change, id))
        connection.execute("DELETE FROM removals WHERE index_id = ? AND number <= ?", (id, change))


def list_removed(database: IndexDatabase, id: str) -> tuple[int, list[int]]:
    """List the passages that were removed since the derived index was saved, after the number of
    the last removal."""
    rows = database.rows("SELECT number, passage FROM removals WHERE index_id = ?", id)
    return max((number for number, _ in rows), default=0), [passage for _, passage in rows]


def list_indexes_without_removals(database: IndexDatabase) -> set[str]:
    """List the ids of indexes from which nothing was removed since they were saved."""
    return {id for (id,) in database.rows(_WITHOUT_REMOVALS)}


def _smoothed_vectors(
    database: IndexDatabase, id: str, space: int | None, numbers: Sequence[int]
) -> bytes:
    """Read the vectors of passages, each smoothed with its neighbours in its document."""
    if not numbers:
        return b""
    # A document's passages have consecutive numbers.
    first, last = numbers[0] - NEIGHBOR_REACH, numbers[-1] + NEIGHBOR_REACH
    space = current_space(database.connection, id) if space is None else space
    rows = database.rows(_VECTORS_BETWEEN, space, id, first, last)
    return smooth_rows(rows, numbers)
