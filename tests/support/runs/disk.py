"""What a killed process would have left on disk, at every moment of its life."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runs.database import RunDatabase


@dataclass
class Disk:
    """The run database as it stood after each of its commits.

    What is handed to the writing thread at once shares a commit, and no more, and nothing is
    moved out of SQLite's log of them (the WAL): every length that the log had at a commit is a
    state in which a `kill -9` may leave it. `pause_s` makes each commit slow.
    """

    file: Path
    pause_s: float = 0.0
    lengths: list[int] = field(default_factory=list)
    base: bytes = b""
    log: bytes = b""

    def watch(self, database: RunDatabase) -> None:
        """Note every commit from now on, and what there is by now."""
        wal, commit = self._wal, database._commit
        database._writing.execute("PRAGMA wal_autocheckpoint = 0")
        self.lengths.append(wal.stat().st_size)

        def noted(group: Sequence[Any]) -> None:
            time.sleep(self.pause_s)
            commit(group)
            self.lengths.append(wal.stat().st_size)

        database._commit = noted  # type: ignore[method-assign]
        database._next_group = database._queue.get  # type: ignore[method-assign]

    @property
    def length(self) -> int:
        """How much is committed now."""
        return self.lengths[-1]

    def freeze(self) -> None:
        """Keep what is there, before the database is closed and its log is folded in."""
        self.base, self.log = self.file.read_bytes(), self._wal.read_bytes()

    def leave(self, moment: int, folder: Path) -> Path:
        """Make `folder` the data folder of a process that was killed at this moment."""
        folder.mkdir()
        (folder / self.file.name).write_bytes(self.base)
        (folder / self._wal.name).write_bytes(self.log[: self.lengths[moment]])
        return folder

    def events(self, moment: int, run_id: str) -> list[bytes]:
        """The log of a run as it stood at this moment."""
        with tempfile.TemporaryDirectory() as folder:
            left = self.leave(moment, Path(folder) / "left") / self.file.name
            with closing(sqlite3.connect(left)) as connection:
                rows = connection.execute(
                    "SELECT batch FROM events WHERE run_id = ? ORDER BY first", (run_id,)
                )
                return [line for (batch,) in rows for line in batch.split(b"\n")]

    @property
    def _wal(self) -> Path:
        return self.file.with_name(f"{self.file.name}-wal")
