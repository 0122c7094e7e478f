"""What a new run on a thread does about the runs that are there already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from config.errors import Conflict, NotFound
from runs.checkpoints import Checkpoints
from runs.execution import Execution
from runs.record import Run, RunRequest
from runs.store import RunStore


class MultitaskPolicy:
    """Makes room for a run on its thread, as the request's strategy says.

    `busy` tells the runs under way or in line on a thread, `cancel_waiting` ends one that waits
    for a person. The caller holds the thread's door.
    """

    def __init__(
        self,
        store: RunStore,
        checkpoints: Checkpoints,
        busy: Callable[[str], list[Execution]],
        cancel_waiting: Callable[[Run, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._busy = busy
        self._cancel_waiting = cancel_waiting

    async def apply(self, request: RunRequest) -> None:
        """Return when the run may take its place on the thread, first or in line.

        Raises `NotFound` for a thread or checkpoint that is not there, `Conflict` for a thread of
        another agent, or a busy one with `reject`.
        """
        await self._check(request)
        thread_id = str(request.thread_id)
        others = self._busy(thread_id)
        if others and request.multitask == "reject":
            raise Conflict(
                f"Thread {thread_id} is busy with run {others[0].run.run_id}.",
                code="thread_busy",
                details={"field": "thread_id", "run_id": others[0].run.run_id},
                retry_after_s=1,
            )
        if others and request.multitask in ("interrupt", "rollback"):
            await self._clear(thread_id, others, rollback=request.multitask == "rollback")
        waiting = self._store.find_waiting_run(thread_id)
        if waiting and waiting.run_id not in {each.run.run_id for each in self._busy(thread_id)}:
            await self._cancel_waiting(waiting, "superseded")

    async def _clear(self, thread_id: str, others: list[Execution], *, rollback: bool) -> None:
        for other in others:
            other.cancel("rolled_back" if rollback else "interrupted")
        await asyncio.wait([other.task for other in others if other.task])
        if rollback:
            run_ids = [other.run.run_id for other in others]
            await self._checkpoints.rollback(thread_id, run_ids)
            for run_id in run_ids:
                await self._store.delete_run(run_id)

    async def _check(self, request: RunRequest) -> None:
        thread = self._store.find_thread(str(request.thread_id))
        if thread is None and request.create_thread:
            return
        if thread is None or thread.tenant != request.tenant:
            raise NotFound(
                f"There is no thread {request.thread_id}. Make one with POST /threads, or send "
                '"if_not_exists": "create".',
                code="thread_not_found",
                details={"field": "thread_id"},
            )
        if thread.agent not in (None, request.agent):
            raise Conflict(
                f"Thread {request.thread_id} belongs to agent '{thread.agent}', "
                f"not to '{request.agent}'.",
                code="thread_of_other_agent",
                details={"field": "thread_id"},
            )
        if request.checkpoint_id:
            await self._check_checkpoint(request)

    async def _check_checkpoint(self, request: RunRequest) -> None:
        place = {"thread_id": request.thread_id, "checkpoint_id": request.checkpoint_id}
        if await self._checkpoints.aget_tuple({"configurable": place}) is None:
            raise NotFound(
                f"Thread {request.thread_id} has no checkpoint {request.checkpoint_id}.",
                code="checkpoint_not_found",
                details={"field": "checkpoint_id"},
            )
