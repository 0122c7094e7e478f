"""Begins attempts at runs: the first one, one with an answer, one after a crash or a full disk.

Owns the order in which an attempt's first event is written, its task started and the event
published. Whether a run may begin is `engine`'s, when its turn comes `executor`'s.

Invariants:
- The write of the first event is queued before the task that goes on from it starts, so the log
  has no hole; if that write fails, nothing that the attempt says is stored.
- An attempt that cannot be prepared (its agent is gone) leaves no execution behind.
"""

from __future__ import annotations

import logging
import time
from asyncio import Future
from typing import TYPE_CHECKING, Any

from langchain_core.utils.uuid import uuid7

from config.errors import MotetError
from runs.agent_versions import AgentVersions
from runs.events import Batch, RunEvent
from runs.execution import Execution, describe_error, describe_start
from runs.executor import Executor
from runs.record import Run, RunRequest
from runs.run_log import RunLog
from runs.store import RunStore

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
        thread_id = request.thread_id or run_id
        blocker = self._executor.find_blocker(thread_id)
        run = _new_run(request, agent, run_id, queued=blocker is not None)
        execution = self._prepare(run, agent, RunLog(run_id, self._store), first_writes)
        opening = "run.queued" if blocker else "run.started"
        first = execution.log.number(opening, attempt=1, data=describe_start(run))
        stored = self._store.create_run(run, Batch([first]), request)
        begins = f"queued behind {blocker}" if blocker else "running at once"
        log.info("run %s accepted: agent %s, %s", run_id, agent.name, begins)
        await self._start(execution, first, stored)
        return run

    async def resume(self, run: Run, agent: Agent) -> None:
        """Go on with a run that has its answer; the answer is on disk on return."""
        await self._begin_attempt(run, agent, "resumed")

    async def recover(self, run: Run) -> None:
        """Go on with a run that was under way, or queue it again.

        A run whose agent is gone, or does not take its input any more, fails.
        """
        try:
            agent = self._agents.find_of_run(run)
            self._agents.compile(agent)
            if run.status == "queued":
                self._requeue(run, agent)
                return
        except MotetError as error:
            await self._fail(run, error)
            return
        # Outside of the `try`: a full disk does not make the run fail.
        await self._begin_attempt(run, agent, "recovered")

    def _requeue(self, run: Run, agent: Agent) -> None:
        first_writes = agent.initial_state(run.input)
        execution = self._prepare(run, agent, self._executor.open_log(run), first_writes)
        log.info("run %s recovered: queued again", run.run_id)
        self._executor.start(execution)

    async def _begin_attempt(self, run: Run, agent: Agent, reason: str) -> None:
        execution = self._prepare(run, agent, self._executor.open_log(run))
        run.transition("running", reason)
        data = {**describe_start(run), "reason": reason}
        first = execution.log.number("run.started", attempt=run.attempt, data=data)
        stored = self._store.save_run(run, Batch([first]))
        await self._start(execution, first, stored)

    async def _fail(self, run: Run, error: MotetError) -> None:
        log.error("run %s cannot continue: %s", run.run_id, error)
        run.error = describe_error(error)
        run_log = self._executor.open_log(run)
        last = run_log.number("run.failed", data={"error": run.error})
        run.transition("failed", error.code)
        await run_log.record(run, last)
        self._executor.deliver(run)

    def _prepare(
        self, run: Run, agent: Agent, run_log: RunLog, first_writes: Any = None
    ) -> Execution:
        return Execution(run, agent, self._agents.compile(agent), run_log, first_writes)

    async def _start(self, execution: Execution, first: RunEvent, stored: Future[None]) -> None:
        """Start the execution, and publish its first event once `stored` has written it."""
        # The write stands in the queue before any of the task's, so the run may begin at once;
        # and its future ends before theirs, so its event is published before theirs.
        self._executor.start(execution)
        try:
            await stored
        except Exception as error:
            # Whatever the task says meanwhile must not be stored behind the missing event.
            execution.log.fail(error)
            raise
        execution.log.publish(Batch([first]))


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
        started_at=None if queued else now,
        checkpoint_id=request.checkpoint_id,
        multitask=request.multitask,
        webhook=request.webhook,
        metadata=dict(request.metadata),
    )
