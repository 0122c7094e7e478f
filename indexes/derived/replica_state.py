"""What the server knows of one derived index in its worker, and when it is worth saving."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.workers.process import WorkerProcess

SAVE_AFTER = 2048
SAVE_SHARE = 0.2
"""Saved under way after this many changes, or this share of all, whichever is more: a save writes
it all, and what it lacks is replayed from the store."""
QUIET_S = 0.5
QUIET_SHARE = 10
"""Saved when nothing changed for so long, or so many times as long as a save takes."""


@dataclass(frozen=True, slots=True)
class Hits:
    """(passage number, score), best first; `meaning` the part of each score that is its cosine;
    `why` each has its score, where that was asked for."""

    hits: Sequence[tuple[int, float]]
    meaning: Sequence[float] | None = None
    why: Sequence[dict[str, Any]] | None = None


@dataclass(slots=True)
class ReplicaState:
    """What the worker knows of one index, up to `change`; where it stood when it was `saved`, or
    when what was saved was erased.

    `born`: the change of the truth at which it began to be filled; what was removed before that
    it never saw. `erased`: nothing is saved. `touched_s`: when it changed last.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    worker: WorkerProcess | None = None
    fingerprint: str | None = None
    change: int = 0
    born: int = 0
    saved: int = 0
    erased: bool = False
    touched_s: float = 0.0
    quiet_s: float = QUIET_S

    @property
    def unsaved(self) -> bool:
        return self.erased or self.change > self.saved

    @property
    def overdue(self) -> bool:
        return self.change - self.saved > max(SAVE_AFTER, SAVE_SHARE * self.change)

    def touch(self, change: int) -> None:
        """It stands at `change` now."""
        self.change, self.touched_s = change, time.monotonic()

    async def quiet(self) -> None:
        """Wait until nothing has changed for a while."""
        while True:
            left_s = self.touched_s + self.quiet_s - time.monotonic()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)
