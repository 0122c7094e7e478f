"""Requests to the worker that holds the derived indexes: one function for each of its methods.

Owns headers, time limits and the form of replies. Which worker is asked, and when, is the
synchronizer's; the other side is `worker.IndexHandler`.

Every function raises `Unavailable` (`worker_died`, `worker_stopped`, `index_stale`) when the worker
is not what the caller believes, and `TimedOut` when it does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.errors import TimedOut
from indexes.records import Changes, IndexRecord
from models.workers.process import WorkerProcess

BATCH = 256
"""Passages applied at once: searches wait for one batch at most."""
SEARCH_TIMEOUT_S = 30.0
CHANGE_TIMEOUT_S = 300.0
"""For what reads or writes a whole index: opening, saving, applying a batch."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found, best first.

    `hits` are (passage number, score); `meaning` is the cosine in each score, None for a search by
    keywords; `why` says how each score came about, if that was asked for. `searchable_share` is
    below 1 while the index is being restored from storage.
    """

    hits: Sequence[tuple[int, float]]
    meaning: Sequence[float] | None = None
    why: Sequence[dict[str, Any]] | None = None
    searchable_share: float = 1.0


async def search(
    worker: WorkerProcess, record: IndexRecord, header: dict[str, Any], body: bytes
) -> Hits:
    """Search an open index; goes before everything but other searches."""
    header = {**header, "fingerprint": record.fingerprint}
    reply = await _call(
        worker, "search", record, header, body, urgent=True, timeout_s=SEARCH_TIMEOUT_S
    )
    hits = [(number, score) for number, score in reply["hits"]]
    return Hits(hits, reply["meaning"], reply.get("why"))


async def open_index(worker: WorkerProcess, record: IndexRecord) -> int:
    """Open what was saved, or an empty index; return the change that it stands at."""
    header = {"fingerprint": record.fingerprint, "oldest": record.saved_change}
    reply = await _call(worker, "open", record, header)
    return int(reply["change"])


async def build(worker: WorkerProcess, record: IndexRecord) -> None:
    """Begin an empty index beside the open one."""
    await _call(worker, "build", record, {"fingerprint": record.fingerprint})


async def apply(
    worker: WorkerProcess,
    record: IndexRecord,
    after: int,
    changes: Changes,
    *,
    building: bool = False,
) -> None:
    """Apply the changes after change `after` to the open index, or to the one being built."""
    header = {
        "building": building,
        "after": after,
        "upto": changes.upto,
        "numbers": changes.numbers,
        "texts": changes.texts,
        "removed": changes.removed,
    }
    await _call(worker, "apply", record, header, changes.vectors)


async def swap(worker: WorkerProcess, record: IndexRecord) -> int:
    """Open the index that was built in place of the present one, and save it; return its change."""
    return int((await _call(worker, "swap", record, {}))["change"])


async def save(worker: WorkerProcess, record: IndexRecord) -> None:
    """Write the open index to its folder. Raises `Unavailable` (`index_save_failed`)."""
    await _call(worker, "save", record, {})


async def redact(worker: WorkerProcess, record: IndexRecord, removed: Sequence[int]) -> None:
    """Take the words of removed passages out of what is saved."""
    header = {"fingerprint": record.fingerprint, "removed": list(removed)}
    await _call(worker, "redact", record, header)


async def drop(worker: WorkerProcess, record: IndexRecord) -> None:
    """Close an index that was deleted."""
    await _call(worker, "drop", record, {}, timeout_s=SEARCH_TIMEOUT_S)


async def _call(
    worker: WorkerProcess,
    method: str,
    record: IndexRecord,
    header: dict[str, Any],
    body: bytes = b"",
    *,
    urgent: bool = False,
    timeout_s: float = CHANGE_TIMEOUT_S,
) -> dict[str, Any]:
    try:
        reply = await worker.call(
            method, {"index": record.id, **header}, body, urgent=urgent, timeout_s=timeout_s
        )
    except TimedOut:
        # One thread does all the work there: what hangs it hangs every index. The next request
        # starts another worker.
        worker.kill()
        raise
    return reply.header
