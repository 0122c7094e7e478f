"""What the server knows of one derived index in its worker, and when it is worth saving."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from models.workers.process import WorkerProcess

MIN_CHANGES_TO_SAVE = 2048
MIN_SHARE_TO_SAVE = 0.2
"""Saved under way after this many changes, or this share of all, whichever is more: a save writes
everything, and what it lacks is replayed from storage."""
MIN_QUIET_S = 0.5
SAVE_QUIET_FACTOR = 10
"""Saved once nothing changed for so long, or so many times as long as the last save took."""


@dataclass(slots=True)
class ReplicaState:
    """One derived index: which worker holds it, and how far it has got.

    Changes of an index are numbered. The replica in `worker` has seen those up to `change`; its
    saved folder those up to `saved`. `lock` is held while either moves.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    worker: WorkerProcess | None = None
    """The worker in which the index was opened; it may have died since."""
    fingerprint: str | None = None
    """The embedding model whose vectors the replica holds."""
    change: int = 0
    born: int = 0
    """Storage's last change when the replica began from nothing: passages that were removed up to
    then were never in it."""
    target: int = 0
    """Storage's last change when the replica was opened: what was searchable once."""
    restored: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the replica is open and has seen the changes up to `target`."""
    saved: int = 0
    erased: bool = False
    """The saved folder was removed, and none has replaced it yet."""
    redacted: int = 0
    """The words of removals up to this change are out of the saved folder, and of any that is
    written later: the worker's index forgot them in the same call."""
    changed_at_s: float = 0.0
    quiet_s: float = MIN_QUIET_S

    @property
    def unsaved(self) -> bool:
        return self.erased or self.change > self.saved

    @property
    def searchable_share(self) -> float:
        """How much of what was searchable once the replica holds again, from 0 to 1."""
        return 1.0 if self.change >= self.target else self.change / self.target

    @property
    def overdue(self) -> bool:
        """Whether so much is unsaved that it is worth a save although more is coming."""
        return self.change - self.saved > max(MIN_CHANGES_TO_SAVE, MIN_SHARE_TO_SAVE * self.change)

    def opened(
        self, worker: WorkerProcess, fingerprint: str | None, change: int, born: int, target: int
    ) -> None:
        """Note that a worker opened the replica at a change, from its saved folder or empty."""
        self.worker, self.fingerprint = worker, fingerprint
        self.change = self.saved = change
        self.born, self.erased, self.target = born, change == 0, target
        self.note_restored()

    def advance(self, change: int) -> None:
        """Note that the replica has seen the changes up to `change`."""
        self.change, self.changed_at_s = change, time.monotonic()
        self.note_restored()

    def note_restored(self) -> None:
        """Let searches go on once the replica has seen all that was searchable once."""
        if self.change >= self.target:
            self.restored.set()
        else:
            self.restored.clear()

    def erase(self) -> None:
        """Note that nothing is saved any more."""
        self.saved, self.erased = self.change, True

    def note_save(self, elapsed_s: float) -> None:
        """Wait the longer for a quiet moment the longer saves take."""
        self.quiet_s = max(MIN_QUIET_S, SAVE_QUIET_FACTOR * elapsed_s)

    async def wait_quiet(self) -> None:
        """Wait until nothing has changed for a while."""
        while True:
            # Read anew after each sleep: changes push the moment away.
            left_s = self.changed_at_s + self.quiet_s - time.monotonic()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)
