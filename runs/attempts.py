"""Begins attempts at runs: the first one, one with an answer, one after a crash or a full disk.

Owns the order in which an attempt's first event is written, its task started and the event
published. Whether a run may begin is `engine`'s, when its turn comes `executor`'s.

Invariants:
- The write of the first event is on disk before anything of the attempt is executed; if that
  write fails, nothing is.
- An attempt that cannot be prepared (its agent is gone) leaves no execution behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import Future
from typing import TYPE_CHECKING, Any

from langchain_core.utils.uuid import uuid7

from config.errors import MotetError
from runs.agent_versions import AgentVersions
from runs.database import Statement
from runs.events import Batch, RunEvent
from runs.execution import Execution, describe_start, is_storage_failure
from runs.executor import Executor
from runs.failures import describe_error
from runs.record import Run, RunRequest, own_thread_key
from runs.run_log import RunLog
from runs.store import RunStore
from tools.json_schema.schema import run_checks

if TYPE_CHECKING:
    from graphs.agent import Agent

log = logging.getLogger(__name__)


class AttemptStarter:
    """Starts executions of runs that nothing executes. Callers hold the lock of a shared thread."""

    def __init__(self, store: RunStore, agents: AgentVersions, executor: Executor) -> None:
        self._store = store
        self._agents = agents
        self._executor = executor

    async def accept(self, request: RunRequest, agent: Agent, first_writes: Any) -> Run:
        """Make a run of the request and start it, or queue it; it is on disk on return."""
        run_id = str(uuid7())
        key = request.thread_key or own_thread_key(request.tenant, run_id)
        blocker = self._executor.find_blocker(key, request.tenant)
        run = _new_run(request, agent, run_id, queued=blocker is not None)
        run_log = RunLog(run_id, self._store, tenant=run.tenant)
        execution = self._prepare(run, agent, run_log, first_writes)
        opening = "run.queued" if blocker else "run.started"
        first = execution.log.number(opening, attempt=1, data=describe_start(run))
        stored = self._store.create_run(run, Batch([first]), request)
        begins = f"queued behind {blocker}" if blocker else "running at once"
        log.info("run %s accepted: agent %s, %s", run_id, agent.name, begins)
        await self._start(execution, first, stored)
        return run

    async def resume(self, run: Run, agent: Agent, *more: Statement) -> None:
        """Go on with a run that has its answer; the answer, and `more`, is on disk on return."""
        execution = self._prepare(run, agent, self._executor.open_log(run))
        run.transition("running", "resumed")
        data = {**describe_start(run), "reason": "resumed"}
        first = execution.log.number("run.started", attempt=run.attempt, data=data)
        await self._start(execution, first, self._store.save_run(run, Batch([first]), *more))

    async def recover(self, run: Run, *, alone: bool = False) -> None:
        """Go on with a run that was under way, or queue it again; its attempt begins in its turn.

        A run whose agent is gone, or does not take its input any more, fails. Of the runs that
        come `alone` one is executed at a time. Raises what the store raises.
        """
        try:
            agent = await self._agents.find_of_run(run)
            if run.status == "queued":
                if run.input is not None:
                    # Raises where the input does not fit any more.
                    await run_checks(lambda: agent.initial_state(run.input))
                execution = self._prepare(run, agent, self._executor.open_log(run))
            else:
                execution = self._prepare(run, agent, self._executor.open_log(run))
                execution.again, execution.alone = "recovered", alone
        except Exception as error:
            if is_storage_failure(error):
                raise
            if not isinstance(error, MotetError):  # a Python module that does not build any more
                log.error("run %s cannot be prepared", run.run_id, exc_info=error)
            await self.fail(run, describe_error(error))
            return
        log.info("run %s recovered: %s", run.run_id, run.status)
        self._executor.start(execution)

    async def fail(self, run: Run, error: dict[str, Any]) -> None:
        """End a run that nothing executes and that cannot go on; on disk when this returns."""
        log.error("run %s cannot continue: %s", run.run_id, error["code"])
        run.error = error
        run_log = self._executor.open_log(run)
        last = run_log.number_end(run, "failed", error["code"], {"error": error})
        await run_log.record(run, last)
        self._executor.deliver(run)

    def _prepare(
        self, run: Run, agent: Agent, run_log: RunLog, first_writes: Any = None
    ) -> Execution:
        return Execution(run, agent, self._agents.compile(agent), run_log, first_writes)

    async def _start(self, execution: Execution, first: RunEvent, stored: Future[None]) -> None:
        """Start the execution once `stored` has written its first event; raises where it does not.

        The execution is there at once, so that its thread and the engine's bounds know it, but
        nothing of it is executed before its begin is on disk: what is refused does not run.
        """

        async def accepted() -> None:
            # Shielded: the caller may be cancelled, and then the write stands and the run goes on.
            await asyncio.shield(stored)
            execution.log.publish(Batch([first]))

        execution.accepted = accepted
        execution.begun = execution.run.status == "running"
        self._executor.start(execution)
        await asyncio.shield(stored)


def _new_run(request: RunRequest, agent: Agent, run_id: str, *, queued: bool) -> Run:
    now = time.time()
    return Run(
        run_id=run_id,
        tenant=request.tenant,
        agent=agent.name,
        version=agent.version,
        thread_id=request.thread_id or run_id,
        own_thread=request.thread_id is None,
        status="queued" if queued else "running",
        attempt=1,
        input=request.input,
        created_at=now,
        open_attempts=0 if queued else 1,
        started_at=None if queued else now,
        checkpoint_id=request.checkpoint_id,
        multitask=request.multitask,
        webhook=request.webhook,
        metadata=dict(request.metadata),
    )
