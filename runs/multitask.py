"""What a new run on a thread does about the runs that are there already."""

from __future__ import annotations

import asyncio

from config.errors import Conflict, NotFound
from runs.checkpoints import Checkpoints
from runs.execution import Execution
from runs.executor import Executor
from runs.record import RunRequest, thread_key
from runs.store import RunStore
from runs.thread_names import check_thread_name


class MultitaskPolicy:
    """Applies a request's strategy to its thread, whose lock the caller holds."""

    def __init__(self, store: RunStore, checkpoints: Checkpoints, executor: Executor) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._executor = executor

    async def apply(self, request: RunRequest) -> None:
        """Clear the thread as the strategy says, until the run may join it, first or queued.

        Waits for the end of the runs that it cancels. Raises `Conflict` for a busy thread with
        `reject`.
        """
        key = str(request.thread_key)
        others = self._executor.active_on_thread(key)
        if others and request.multitask == "reject":
            raise Conflict(
                f"Thread {request.thread_id} is busy with run {others[0].run.run_id}.",
                code="thread_busy",
                details={"field": "thread_id", "run_id": others[0].run.run_id},
                retry_after_s=1,
            )
        if others and request.multitask in ("interrupt", "rollback"):
            await self._cancel_all(key, others, rollback=request.multitask == "rollback")
        await self._supersede_waiting(str(request.thread_id), request.tenant)

    async def _supersede_waiting(self, thread_id: str, tenant: str) -> None:
        waiting = self._store.find_waiting_run(thread_id, tenant=tenant)
        # A run that has just come to wait is still active until its execution has left; the next
        # one in the queue supersedes it then.
        on_thread = self._executor.active_on_thread(thread_key(tenant, thread_id))
        active = {each.run.run_id for each in on_thread}
        if waiting and waiting.run_id not in active:
            await self._executor.cancel_inactive(waiting, "superseded")

    async def _cancel_all(self, key: str, executions: list[Execution], *, rollback: bool) -> None:
        for execution in executions:
            execution.cancel("rolled_back" if rollback else "interrupted")
        await asyncio.gather(*(execution.wait_done() for execution in executions))
        if rollback:
            runs = [execution.run for execution in executions]
            await self._checkpoints.rollback(key, [run.run_id for run in runs])
            for run in runs:
                await self._store.delete_run(run.run_id, tenant=run.tenant)

    async def check(self, request: RunRequest) -> None:
        """Check that the run may join its thread, whatever runs are there.

        Raises `NotFound` for a thread or checkpoint that does not exist, `Conflict` for a thread of
        another agent, or a new one with the id of a run.
        """
        thread = self._store.threads.find(str(request.thread_id), tenant=request.tenant)
        if thread is None and request.create_thread:
            check_thread_name(self._store, str(request.thread_id), tenant=request.tenant)
        elif thread is None:
            raise NotFound(
                f"There is no thread {request.thread_id}. Make one with POST /threads, or send "
                '"if_not_exists": "create".',
                code="thread_not_found",
                details={"field": "thread_id"},
            )
        elif thread.agent not in (None, request.agent.partition("@")[0]):
            raise Conflict(
                f"Thread {request.thread_id} belongs to agent '{thread.agent}', "
                f"not to '{request.agent}'.",
                code="thread_of_other_agent",
                details={"field": "thread_id"},
            )
        if request.checkpoint_id is not None:
            await self._check_checkpoint(request)

    async def _check_checkpoint(self, request: RunRequest) -> None:
        at = {"thread_id": request.thread_key, "checkpoint_id": request.checkpoint_id}
        if await self._checkpoints.aget_tuple({"configurable": at}) is None:
            raise NotFound(
                f"Thread {request.thread_id} has no checkpoint {request.checkpoint_id}.",
                code="checkpoint_not_found",
                details={"field": "checkpoint_id"},
            )
