"""Runs that have not ended and that nothing executes: each with the reason why."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from runs.record import Run

HoldReason = Literal["storage", "operator"]
"""`storage`: the disk did not take it, and it goes on when the disk does. `operator`: the server
was started with `--hold-runs`, and it goes on when somebody resumes it."""


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run that is held, as its thread knows it."""

    run_id: str
    tenant: str
    thread_key: str
    reason: HoldReason


class HeldRuns:
    """What is held in this process; on disk each run is as its last attempt left it."""

    def __init__(self) -> None:
        self._runs: dict[str, HeldRun] = {}
        self.refused = asyncio.Event()
        """Set while the disk has refused a run."""

    def __len__(self) -> int:
        return len(self._runs)

    def hold(self, run: Run, reason: HoldReason) -> None:
        self._runs[run.run_id] = HeldRun(run.run_id, run.tenant, run.thread_key, reason)
        self._note()

    def release(self, run_id: str) -> None:
        """Forget a run that is taken up or has ended; one that is not held is no mistake."""
        if self._runs.pop(run_id, None):
            self._note()

    def find(self, run_id: str) -> HeldRun | None:
        return self._runs.get(run_id)

    def on_thread(self, key: str) -> list[HeldRun]:
        """List what is held on a thread, oldest first."""
        return [held for held in self._runs.values() if held.thread_key == key]

    def by_reason(self, reason: HoldReason) -> list[HeldRun]:
        """List what is held for a reason, oldest first."""
        return [held for held in self._runs.values() if held.reason == reason]

    def _note(self) -> None:
        if self.by_reason("storage"):
            self.refused.set()
        else:
            self.refused.clear()
