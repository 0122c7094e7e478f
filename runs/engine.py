"""Accepts runs, executes them, recovers them, and lets readers follow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from langchain_core.utils.uuid import uuid7

from config.errors import Busy, Conflict, MotetError, NotFound, Unavailable
from runs.admission import Admission, KeyedLocks
from runs.answers import match_answers
from runs.checkpoints import Checkpoints, delete_thread
from runs.events import Batch
from runs.execution import SHUTDOWN, Execution, describe_error, start_event_data
from runs.log import RunLog
from runs.multitask import MultitaskPolicy
from runs.record import Run, RunRequest
from runs.store import RunStore
from runs.webhooks import Webhooks

if TYPE_CHECKING:
    from graphs.agent import Agent
    from graphs.catalog import Catalog

log = logging.getLogger(__name__)

COMPILED_LIMIT = 256
"""Compiled graphs kept; the oldest is compiled anew when it is asked for again."""


class RunEngine:
    """The one writer of every run's state.

    `context` makes what the nodes of a run are given. A run is on disk before `submit` returns,
    and each state it takes is on disk before anyone is told of it.
    """

    def __init__(
        self,
        store: RunStore,
        checkpoints: Checkpoints,
        catalog: Catalog,
        context: Callable[[Run], Any],
        webhooks: Webhooks,
        *,
        max_active: int,
        max_queued: int,
    ) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._catalog = catalog
        self._context = context
        self._webhooks = webhooks
        self._admission = Admission(max_active)
        self._thread_locks = KeyedLocks()
        self._multitask = MultitaskPolicy(
            store, checkpoints, self.active_on_thread, self._cancel_waiting
        )
        self._bound = max_active + max_queued
        self._executions: dict[str, Execution] = {}
        self._graphs: dict[str, Any] = {}
        self._saved_versions: set[str] = set()
        self._deferred: list[str] = []
        self._closing = False

    # asking for a run

    async def submit(self, request: RunRequest) -> Run:
        """Accept a run: it is durable when this returns, and will come to an end.

        The same idempotency key gives the same run. Raises `NotFound` for an unknown agent,
        `Invalid` for input that does not fit, `Conflict` for a busy thread with `reject` or a
        reused key, `Busy` when too many runs wait.
        """
        if request.idempotency_key is None:
            return await self._submit(request)
        async with self._thread_locks.hold(f"key {request.tenant} {request.idempotency_key}"):
            return self._store.find_run_of_key(request) or await self._submit(request)

    async def resume(self, run_id: str, answer: Any, tenant: str = "default") -> Run:
        """Give a waiting run its answer and let it go on.

        With one open question `answer` is its answer; with several it maps each question's id to
        one. Raises `Conflict` for a run that does not wait, or that gives way to the next one on
        its thread.
        """
        run = self.get(run_id, tenant)
        if (execution := self._executions.get(run_id)) and run.status == "waiting":
            await _over(execution)
        async with self._thread_locks.hold(run.thread_id):
            run = self.get(run_id, tenant)
            self._check_waits(run)
            self._admit()
            agent = self._agent_of(run)
            run.resume = {
                "answers": match_answers(run, answer),
                "checkpoint_id": run.interrupts[0]["checkpoint_id"],
            }
            run.interrupts = []
            await self._begin_attempt(self._next_attempt(run, agent), "resumed")
            return run

    async def cancel(self, run_id: str, tenant: str = "default", reason: str = "requested") -> Run:
        """End a run that has not ended. Returns when its end is on disk.

        Raises `Conflict` where it has ended already.
        """
        run = self.get(run_id, tenant)
        if execution := self._executions.get(run_id):
            execution.cancel(reason)
            await _over(execution)
            # It may have come to wait for a person in the same moment; that is cancelled below.
            if execution.run.ended:
                return execution.run
        async with self._thread_locks.hold(run.thread_id):
            run = self.get(run_id, tenant)
            if run.ended:
                raise Conflict(
                    f"Run {run_id} has ended already: it is {run.status}.",
                    code="run_ended",
                    details={"field": "run_id", "status": run.status},
                )
            await self._cancel_waiting(run, reason)
            return run

    # reading

    def get(self, run_id: str, tenant: str = "default") -> Run:
        """The run as it stands. Raises `NotFound`, also for another tenant's run."""
        execution = self._executions.get(run_id)
        run = execution.run if execution else self._store.find_run(run_id)
        if run is None or run.tenant != tenant:
            raise NotFound(
                f"There is no run {run_id}.", code="run_not_found", details={"field": "run_id"}
            )
        return run

    def follow(self, run_id: str, after: int = 0, tenant: str = "default") -> AsyncIterator[Batch]:
        """The run's events behind `after`, each once and in order, live until it ends or waits."""
        run = self.get(run_id, tenant)
        return self._log_of(run).follow(after)

    async def wait_ended(self, run_id: str, tenant: str = "default") -> Run:
        """The run once it has ended or waits for a person."""
        self.get(run_id, tenant)
        if execution := self._executions.get(run_id):
            await _over(execution)
        return self.get(run_id, tenant)

    def active_on_thread(self, thread_id: str) -> list[Execution]:
        """The runs under way or in line on a thread, oldest first."""
        return [each for each in self._executions.values() if each.run.thread_id == thread_id]

    def find_waiting(self, thread_id: str, tenant: str = "default") -> Run | None:
        """The run that waits for a person on a thread."""
        run = self._store.find_waiting_run(thread_id)
        return run if run and run.tenant == tenant else None

    def last_seq(self, run_id: str) -> int:
        """The number of the last event that a run's log holds."""
        return self._store.last_seq(run_id)

    def graph(self, agent: str) -> Any:
        """The compiled graph of an agent as it is now. Raises `NotFound`."""
        return self._graph(self._catalog.get(agent))

    def graph_of(self, run: Run) -> Any:
        """The compiled graph of a run's agent in the version with which it began."""
        return self._graph(self._agent_of(run))

    @property
    def active(self) -> int:
        return len(self._executions)

    # life

    async def recover(self) -> int:
        """Continue every run that was accepted and has not ended; returns how many."""
        runs = await self._store.list_unended_runs()
        for run in runs:
            await self._recover_run(run)
        await self._webhooks.recover()
        return len(runs)

    async def close(self, grace_s: float) -> None:
        """Admit no more, drain at the next step, cancel after the grace period.

        What was drained or cancelled continues at the next start.
        """
        self._closing = True
        tasks = [each.task for each in self._executions.values() if each.task]
        for execution in self._executions.values():
            execution.control.request_drain(SHUTDOWN)
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for execution in list(self._executions.values()):
            execution.cancel(SHUTDOWN)
        if tasks:
            await asyncio.wait(tasks)

    # inside

    async def _submit(self, request: RunRequest) -> Run:
        self._admit()
        agent = self._catalog.get(request.agent)
        begin = agent.initial_state(request.input)
        await self._save_version(agent)
        if request.thread_id is None:
            return await self._accept(request, agent, begin)
        # One at a time through a thread's door: between looking at the thread and taking a place
        # on it, no other request may change it.
        async with self._thread_locks.hold(request.thread_id):
            await self._multitask.apply(request)
            return await self._accept(request, agent, begin)

    def _check_waits(self, run: Run) -> None:
        if run.status != "waiting":
            raise Conflict(
                f"Run {run.run_id} does not wait for an answer: it is {run.status}.",
                code="run_not_waiting",
                details={"field": "run_id", "status": run.status},
            )
        if others := self.active_on_thread(run.thread_id):
            raise Conflict(
                f"Run {run.run_id} gives way to run {others[0].run.run_id}, which begins on its "
                "thread now.",
                code="run_superseded",
                details={"field": "run_id", "run_id": others[0].run.run_id},
            )

    def _admit(self) -> None:
        if self._closing:
            raise Unavailable("The server is stopping.", code="shutting_down", retry_after_s=5)
        if len(self._executions) >= self._bound:
            raise Busy(
                f"{len(self._executions)} runs are under way or wait; no more are accepted now.",
                code="too_many_runs",
                retry_after_s=2,
            )

    async def _accept(self, request: RunRequest, agent: Agent, begin: Any) -> Run:
        run = _new_run(request, agent)
        if self._admission.must_wait(run.thread_id):
            run.status, run.started_at = "queued", None
        execution = self._execution(run, agent, RunLog(run.run_id, self._store))
        execution.begin = begin
        opening = "run.queued" if run.status == "queued" else "run.started"
        first = execution.log.begin(opening, attempt=1, data=start_event_data(run))
        stored = self._store.create_run(run, first, request)
        # The write stands in the queue before any of the task's, so the run may begin at once.
        self._start(execution)
        await stored
        execution.log.publish(first)
        await self._resume_deferred()
        return run

    def _execution(self, run: Run, agent: Agent, run_log: RunLog) -> Execution:
        execution = Execution(run, agent, self._graph(agent), run_log)
        self._executions[run.run_id] = execution
        return execution

    def _graph(self, agent: Agent) -> Any:
        key = f"{agent.name}@{agent.version}"
        if key not in self._graphs:
            if len(self._graphs) >= COMPILED_LIMIT:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = agent.compile(self._checkpoints)
        return self._graphs[key]

    def _next_attempt(self, run: Run, agent: Agent) -> Execution:
        run.status, run.attempt = "running", run.attempt + 1
        return self._execution(run, agent, self._reopen_log(run))

    async def _begin_attempt(self, execution: Execution, why: str) -> None:
        run = execution.run
        first = execution.log.begin(
            "run.started", attempt=run.attempt, data={**start_event_data(run), "reason": why}
        )
        stored = self._store.save_run(run, first)
        self._start(execution)
        await stored
        execution.log.publish(first)

    async def _recover_run(self, run: Run) -> None:
        try:
            agent = self._agent_of(run)
            if run.status == "queued":
                self._requeue(run, agent)
            else:
                await self._begin_attempt(self._next_attempt(run, agent), "recovered")
        except MotetError as error:
            log.error("run %s cannot continue: %s", run.run_id, error)
            run.status, run.ended_at, run.error = "failed", time.time(), describe_error(error)
            failed = self._reopen_log(run)
            await failed.record(run, "run.failed", data={"error": run.error})

    def _requeue(self, run: Run, agent: Agent) -> None:
        """Take up a run that never began: it stands in line again, for its first attempt."""
        execution = self._execution(run, agent, self._reopen_log(run))
        execution.begin = agent.initial_state(run.input)
        self._start(execution)

    async def _resume_deferred(self) -> None:
        """Take up the runs that a refusing disk had stopped, now that it takes writes again."""
        parked, self._deferred = self._deferred, []
        for run_id in parked:
            if (run := self._store.find_run(run_id)) and not run.ended:
                await self._recover_run(run)

    def _agent_of(self, run: Run) -> Agent:
        """The agent in the version with which the run began."""
        sources = self._store.find_sources(run.version)
        if sources:
            return self._catalog.revive(sources, run.agent)
        return self._catalog.get(run.agent)

    async def _save_version(self, agent: Agent) -> None:
        if agent.version not in self._saved_versions:
            await self._store.save_version(agent.version, agent.name, agent.sources)
            self._saved_versions.add(agent.version)

    def _start(self, execution: Execution) -> None:
        execution.task = asyncio.create_task(
            self._run(execution), name=f"run {execution.run.run_id}"
        )

    async def _run(self, execution: Execution) -> None:
        run = execution.run
        try:
            async with self._admission.acquire(run.thread_id):
                if run.status == "queued":
                    await self._supersede(run)
                await execution.execute(self._checkpoints, self._context)
        except asyncio.CancelledError:
            await execution.end_cancelled()  # it still stood in line
        except Exception as error:
            log.error("run %s is set aside: %s", run.run_id, error)
            self._deferred.append(run.run_id)
        finally:
            del self._executions[run.run_id]
            execution.log.close()
        self._deliver(run)

    async def _supersede(self, run: Run) -> None:
        """End the run that came to wait for a person while this one stood in line behind it."""
        async with self._thread_locks.hold(run.thread_id):
            if waiting := self._store.find_waiting_run(run.thread_id):
                await self._cancel_waiting(waiting, "superseded")

    async def _cancel_waiting(self, run: Run, reason: str) -> None:
        """End a run that waits for a person; the caller holds its thread's door."""
        run.status, run.ended_at, run.interrupts = "cancelled", time.time(), []
        forgotten = delete_thread(run.thread_id) if run.own_thread else ()
        data = {"reason": reason}
        await self._reopen_log(run).record(run, "run.cancelled", *forgotten, data=data)
        self._deliver(run)

    def _deliver(self, run: Run) -> None:
        if run.ended and run.webhook:
            self._webhooks.deliver(run, run.webhook)

    def _log_of(self, run: Run) -> RunLog:
        if execution := self._executions.get(run.run_id):
            return execution.log
        resting = self._reopen_log(run)
        resting.close()
        return resting

    def _reopen_log(self, run: Run) -> RunLog:
        return RunLog(run.run_id, self._store, self._store.last_seq(run.run_id))


async def _over(execution: Execution) -> None:
    """Wait until an execution has left the engine."""
    if execution.task:
        await asyncio.wait([execution.task])


def _new_run(request: RunRequest, agent: Agent) -> Run:
    run_id, now = str(uuid7()), time.time()
    return Run(
        run_id=run_id,
        tenant=request.tenant,
        agent=agent.name,
        version=agent.version,
        thread_id=request.thread_id or run_id,
        own_thread=request.thread_id is None,
        status="running",
        attempt=1,
        input=request.input,
        created_at=now,
        started_at=now,
        checkpoint_id=request.checkpoint_id,
        multitask=request.multitask,
        webhook=request.webhook,
        metadata=dict(request.metadata),
    )
