"""Takes up the runs that nothing executes: what an earlier process left, what the disk refused.

Owns which of them go on, when, and which have ended too many processes. How an attempt begins is
`attempts`'.

Invariants:
- A run that is held goes on or is cancelled under its thread's lock.
- An attempt counts as ended with its process where no end of it is on disk; an orderly end of the
  process notes one for all that it cuts off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from itertools import chain, repeat

from config.errors import MotetError
from runs.admission import KeyedLocks
from runs.attempts import AttemptStarter
from runs.checkpoints import Checkpoints
from runs.execution import is_storage_failure
from runs.held import HeldRuns
from runs.record import Run
from runs.store import RunStore
from runs.task_writes import list_finished_tasks

log = logging.getLogger(__name__)

RETRY_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between tries at a disk that takes no writes; the last one again and again."""
SUSPECT_ATTEMPTS = 2
"""From so many lost attempts on a run is executed without another such one beside it: only one of
those that a process was executing has ended it, and the others must not be blamed again."""


class Recovery:
    """Recovers runs once at the start, and afterwards those that come to be held."""

    def __init__(
        self,
        store: RunStore,
        checkpoints: Checkpoints,
        attempts: AttemptStarter,
        thread_locks: KeyedLocks,
        held: HeldRuns,
        *,
        max_crashes: int,
        pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
    ) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._attempts = attempts
        self._thread_locks = thread_locks
        self._held = held
        self._max_crashes = max_crashes
        self._pauses_s = pauses_s
        self._retrying: asyncio.Task[None] | None = None

    async def recover(self, *, hold: bool) -> int:
        """Continue every run that has not ended, or hold them all; return how many."""
        runs = await self._store.list_unended_runs()
        for run in runs:
            if hold:
                self._held.hold(run, "operator")
                continue
            try:
                await self._recover(run)
            except Exception as error:  # one run must not keep the others, and the server, down
                log.error("run %s could not be taken up", run.run_id, exc_info=error)
                self._held.hold(run, "storage" if is_storage_failure(error) else "operator")
        if hold and runs:
            log.warning("runs held: %d; resume or cancel them with `motet runs`", len(runs))
        self._retrying = asyncio.create_task(self._retry(), name="retry of held runs")
        return len(runs)

    async def take_up(self, run_id: str) -> None:
        """Go on with a run that is held. Raises what the store raises; it stays held then."""
        if held := self._held.find(run_id):
            async with self._thread_locks.hold(held.thread_key):
                await self._take_up(run_id)

    async def take_up_on_thread(self, key: str) -> None:
        """Go on with what the disk refused of this thread, whose lock the caller holds."""
        for held in self._held.on_thread(key):
            if held.reason == "storage":
                await self._take_up(held.run_id)

    async def take_up_refused(self) -> None:
        """Go on with all that the disk refused, until it refuses again."""
        for held in self._held.by_reason("storage"):
            try:
                await self.take_up(held.run_id)
            except MotetError as error:
                log.info("run %s could not be taken up: %s", held.run_id, error.code)
                return

    async def close(self) -> None:
        """Take up nothing more; what is held is taken up at the next start."""
        if self._retrying:
            self._retrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._retrying

    async def _recover(self, run: Run) -> None:
        """Go on with a run of an earlier process; fail it where it has ended too many of them."""
        if run.status != "running":
            await self._attempts.recover(run)
            return
        if run.open_attempts > 1 and await self._has_progressed(run):
            run.open_attempts = 1
        if run.open_attempts >= self._max_crashes:
            await self._attempts.fail(run, _describe_crashes(run))
            return
        await self._attempts.recover(run, alone=self._is_suspect(run))

    def _is_suspect(self, run: Run) -> bool:
        # The last attempt before the bound is always one alone: who fails by it is at fault.
        return run.open_attempts >= min(SUSPECT_ATTEMPTS, self._max_crashes - 1)

    async def _has_progressed(self, run: Run) -> bool:
        """Return whether the last attempt finished a step that no later one will do again."""
        finished: dict[str, int] = {}
        for record in await self._store.events.read_steps(run.run_id, tenant=run.tenant):
            if record.type == "step.finished":
                finished.setdefault(record.step, record.run_attempt)
        stored = await list_finished_tasks(self._checkpoints.database, run)
        return any(at == run.attempt for step, at in finished.items() if step in stored)

    async def _take_up(self, run_id: str) -> None:
        held = self._held.find(run_id)
        run = self._store.find_run(run_id, tenant=held.tenant) if held else None
        # Until the lock was taken, it may have been cancelled, or taken up by somebody else.
        if held is None or run is None:
            return
        if held.reason == "operator":
            run.open_attempts = 0  # whoever resumes it has decided to try it again
        elif run.status == "running":
            run.open_attempts -= 1  # the attempt ended with an error of the disk, not the process
        await self._attempts.recover(run)

    async def _retry(self) -> None:
        """Try what the disk refused again and again: nothing tells when there is room."""
        while True:
            await self._held.refused.wait()
            for pause_s in self._pauses():
                await asyncio.sleep(pause_s)
                if not self._held.refused.is_set():
                    break
                try:
                    await self.take_up_refused()
                except Exception as error:
                    log.error("held runs could not be taken up", exc_info=error)

    def _pauses(self) -> Iterator[float]:
        return chain(self._pauses_s, repeat(self._pauses_s[-1]))


def _describe_crashes(run: Run) -> dict[str, object]:
    return MotetError(
        f"The process ended during {run.open_attempts} attempts in a row at this run, so it is not "
        "tried again.",
        code="too_many_crashes",
        details={"attempts": run.open_attempts},
    ).as_dict()
