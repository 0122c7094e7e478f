"""Executes accepted runs: each in its turn, as a task of its own, until it has left the process.

Owns the executions of this process, the order in which they begin, and what becomes of one that
broke. What happens within an attempt is `execution`'s; accepting and resuming is `engine`'s, taking
up again what the disk refused `recovery`'s.

Invariants:
- A run has at most one execution, and a thread at most one that has begun.
- Nothing of an attempt is executed before its begin is on disk.
- A run without an execution changes under its thread's lock (`thread_locks`) alone.
- A run that the disk did not take stays there as it was, and is held until the disk takes writes.
"""

from __future__ import annotations

import asyncio
import logging

from runs.admission import Admission, KeyedLocks
from runs.checkpoint_statements import delete_thread
from runs.checkpoints import Checkpoints
from runs.execution import (
    SHUTDOWN,
    ContextFactory,
    Execution,
    finish_shielded,
    is_storage_failure,
)
from runs.held import HeldRuns
from runs.record import TRANSITIONS, Run
from runs.run_log import RunLog
from runs.store import RunStore
from runs.webhooks import Webhooks

log = logging.getLogger(__name__)


class Executor:
    """The runs under way or queued in this process.

    `context` makes what the nodes of a run may use.
    """

    def __init__(
        self,
        store: RunStore,
        checkpoints: Checkpoints,
        context: ContextFactory,
        webhooks: Webhooks,
        held: HeldRuns,
        max_active: int,
        max_active_per_tenant: int | None = None,
    ) -> None:
        self.thread_locks = KeyedLocks()
        self._store = store
        self._checkpoints = checkpoints
        self._context = context
        self._webhooks = webhooks
        self._held = held
        self._admission = Admission(max_active, max_active_per_tenant)
        self._executions: dict[str, Execution] = {}

    def __len__(self) -> int:
        return len(self._executions)

    def count(self, tenant: str) -> int:
        """Count a tenant's runs under way or queued."""
        return sum(each.run.tenant == tenant for each in self._executions.values())

    def find(self, run_id: str) -> Execution | None:
        return self._executions.get(run_id)

    def active_on_thread(self, key: str) -> list[Execution]:
        """List the runs under way or queued on a thread, oldest first."""
        return [each for each in self._executions.values() if each.run.thread_key == key]

    def find_blocker(self, key: str, tenant: str) -> str | None:
        """Return what a run that came now would wait for, in words; None where it may begin."""
        if not self._admission.must_wait(key, tenant):
            return None
        others = self.active_on_thread(key)
        if others:
            return f"run {others[-1].run.run_id} on its thread"
        return "other active runs"

    def start(self, execution: Execution) -> None:
        """Take the run up in a task of its own; it begins when its turn comes. Never blocks."""
        run_id = execution.run.run_id
        self._held.release(run_id)
        self._executions[run_id] = execution
        execution.task = asyncio.create_task(self._execute(execution), name=f"run {run_id}")

    def open_log(self, run: Run) -> RunLog:
        """Continue the stored log of a run that has no execution."""
        last = self._store.events.last_seq(run.run_id, tenant=run.tenant)
        return RunLog(run.run_id, self._store, last, tenant=run.tenant)

    async def cancel_inactive(self, run: Run, reason: str) -> None:
        """Cancel a run that nothing executes: it waits for a person, or is held.

        On disk when this returns. The caller holds the thread's lock.
        """
        run_log = self.open_log(run)
        last = run_log.number_end(run, "cancelled", reason, {"reason": reason})
        forgotten = delete_thread(run.thread_key) if run.own_thread else ()
        await run_log.record(run, last, *forgotten)
        self.deliver(run)

    def deliver(self, run: Run) -> None:
        """Begin to call the webhook of a run that has ended; `record` has noted it on disk."""
        if run.ended:
            self._held.release(run.run_id)
        if run.ended and run.webhook:
            self._webhooks.wake()

    async def close(self, grace_s: float) -> None:
        """Drain all runs at their next step, and after the grace period cut the rest off."""
        executions = list(self._executions.values())
        for execution in executions:
            execution.drain()
        tasks = [execution.task for execution in executions if execution.task]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for execution in list(self._executions.values()):
            execution.cancel(SHUTDOWN)
        if tasks:
            await asyncio.wait(tasks)

    async def _execute(self, execution: Execution) -> None:
        refused: Run | None = None
        try:
            await self._execute_in_turn(execution)
        except Exception as error:
            cause = execution.log.failure or error
            refused = await finish_shielded(self._fail_unless_refused(execution, cause))
        finally:
            # First out of the executions, then closed: a reader that sees the end may resume or
            # read the run at once, and must find it in the store.
            del self._executions[execution.run.run_id]
            if execution.run.own_thread:
                self._checkpoints.forget(execution.run.thread_key)
            execution.log.close()
        # Held only now, with no await between: what is held may be taken up at once, by an
        # execution that must not find this one in its place.
        if refused:
            self._held.hold(refused, "storage")
        if execution.log.failure is None:
            self.deliver(execution.run)

    async def _execute_in_turn(self, execution: Execution) -> None:
        run = execution.run
        try:
            if accepted := execution.accepted:
                # It holds the execution; a circle would keep what the run did in memory for long.
                execution.accepted = None
                await finish_shielded(accepted())
                if execution.cancel_reason:
                    raise asyncio.CancelledError
            key = run.thread_key
            async with self._admission.acquire(key, run.tenant, alone=execution.alone):
                if run.status == "queued":
                    await self._supersede_waiting(run)
                await execution.execute(self._checkpoints, self._context)
        except asyncio.CancelledError:
            await execution.end_cancelled()  # it was still queued

    async def _fail_unless_refused(self, execution: Execution, error: BaseException) -> Run | None:
        """Fail a run that broke on a fault of ours; return one that the disk refused, to be held.

        Never raises. What was not accepted is not on disk, or not under way there: its caller has
        the error.
        """
        run_id = execution.run.run_id
        stored = self._store.find_run(run_id, tenant=execution.run.tenant)
        if stored is None or "failed" not in TRANSITIONS[stored.status]:
            return None
        if not is_storage_failure(error):
            log.error("run %s broke", run_id, exc_info=error)
            try:
                await execution.fail(stored, error)
                return None
            except Exception as refused:
                error = execution.log.failure = refused
                if not is_storage_failure(refused):
                    log.error("run %s cannot be failed: left as it is", run_id, exc_info=refused)
                    return None
        # The run is on disk as it was before: it is neither ended nor failed.
        log.error("run %s held until the disk takes writes: %s", run_id, error)
        return stored

    async def _supersede_waiting(self, run: Run) -> None:
        """Cancel the run that came to wait for a person while `run` was queued behind it."""
        async with self.thread_locks.hold(run.thread_key):
            waiting = self._store.find_waiting_run(run.thread_id, tenant=run.tenant)
            if waiting:
                await self.cancel_inactive(waiting, "superseded")
