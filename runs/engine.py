"""Accepts, resumes, cancels and recovers runs, and lets readers follow them.

Owns what is decided when somebody asks for something. Attempts are begun by `attempts` and executed
by `executor`; what a new run does to others on its thread is `multitask`'s.

Invariants:
- A run is on disk before `submit` returns, and each of its states before anybody hears of it.
- What is decided about a thread, from the look at its runs to the write, happens under its lock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from config.errors import Invalid, shutting_down
from config.quotas import Quota
from runs import rejections
from runs.admission import KeyedLocks
from runs.agent_versions import AgentVersions
from runs.answers import match_answers
from runs.attempts import AttemptStarter
from runs.checkpoints import Checkpoints
from runs.events import Batch
from runs.execution import ContextFactory, Execution, has_steps
from runs.executor import Executor
from runs.held import HeldRuns
from runs.idempotency import IdempotencyKey, KeyedRun, key_of_run, note_key
from runs.multitask import MultitaskPolicy
from runs.record import Run, RunRequest, thread_key
from runs.recovery import RETRY_PAUSES_S, Recovery
from runs.staging import find_way_back
from runs.store import RunStore
from runs.webhooks import Webhooks
from tools.json_schema.schema import run_checks

if TYPE_CHECKING:
    from graphs.agent import Agent
    from graphs.catalog import Catalog


class RunEngine:
    """The one writer of every run's state. `context` makes what the nodes of a run may use."""

    def __init__(
        self,
        store: RunStore,
        checkpoints: Checkpoints,
        catalog: Catalog,
        context: ContextFactory,
        webhooks: Webhooks,
        *,
        max_active: int,
        max_queued: int,
        max_active_per_tenant: int | None = None,
        quota: Quota | None = None,
        max_crashes: int = 5,
        retry_pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
    ) -> None:
        self.agents = AgentVersions(catalog, store, checkpoints)
        self.held = HeldRuns()
        self._store = store
        self._checkpoints = checkpoints
        self._webhooks = webhooks
        self._executor = Executor(
            store, checkpoints, context, webhooks, self.held, max_active, max_active_per_tenant
        )
        self._attempts = AttemptStarter(store, self.agents, self._executor)
        self._multitask = MultitaskPolicy(store, checkpoints, self._executor)
        self._thread_locks = self._executor.thread_locks
        self._recovery = Recovery(
            store,
            checkpoints,
            self._attempts,
            self._thread_locks,
            self.held,
            max_crashes=max_crashes,
            pauses_s=retry_pauses_s,
        )
        self._key_locks = KeyedLocks()
        self._max_accepted = max_active + max_queued
        self._quota = quota
        self._closing = False

    # asking for a run

    async def submit(self, request: RunRequest) -> Run:
        """Accept a run: it is durable when this returns, and will come to an end.

        The same idempotency key gives the same run. Raises `NotFound` for an unknown agent,
        `Invalid` for input that does not fit, `Conflict` for a busy thread with `reject` or a
        reused key, `Busy` when too many runs wait, of all (`too_many_runs`) or of
        the tenant (`quota_exceeded`).
        """
        key = key_of_run(request)
        if key is None:
            return await self._submit(request)
        async with self._hold_key(key):
            keyed = self._store.find_run_of_key(key)
            return (
                await self._store.read_output(keyed.run) if keyed else await self._submit(request)
            )

    async def resume(
        self, run_id: str, answer: Any, *, tenant: str, key: IdempotencyKey | None = None
    ) -> KeyedRun:
        """Give a waiting run its answer and let it go on; the answer is durable on return.

        With one open question `answer` is its answer; with several it maps each question's id to
        one. An answer that comes again with its `key` is not given again. Raises `Conflict` for a
        run that does not wait (`run_not_waiting`), or that gives way to the next one on its thread
        (`run_superseded`), `Invalid` for an answer that does not fit.
        """
        if key is None:
            return await self._resume(run_id, answer, tenant)
        async with self._hold_key(key):
            return await self.find_run_of_key(key) or await self._resume(
                run_id, answer, tenant, key
            )

    async def take_up(self, run_id: str, *, tenant: str) -> Run:
        """Let a run go on that is held.

        Raises `Conflict` (`run_not_held`) for one that is not, `Invalid` for one that waits for an
        answer, and what the store raises while the disk takes no writes.
        """
        run = self.get(run_id, tenant=tenant)
        if run.status == "waiting":
            raise Invalid(f"Run {run_id} waits for an answer.", details={"field": "answer"})
        if self.held.find(run_id) is None:
            raise rejections.not_held(run)
        self._check_capacity(tenant)
        await self._recovery.take_up(run_id)
        return self.get(run_id, tenant=tenant)

    async def cancel(self, run_id: str, *, tenant: str, reason: str = "requested") -> Run:
        """End a run that has not ended. Its end is on disk when this returns.

        Raises `Conflict` (`run_ended`) where it has ended already.
        """
        run = self.get(run_id, tenant=tenant)
        if execution := self._executor.find(run_id):
            execution.cancel(reason)
            await execution.wait_done()
            # It may have come to wait for a person in the same moment, or the disk may have
            # refused its end: both are cancelled below.
            if execution.run.ended and execution.log.failure is None:
                return execution.run
        async with self._thread_locks.hold(run.thread_key):
            run = self.get(run_id, tenant=tenant)
            if run.ended:
                raise rejections.has_ended(run)
            await self._executor.cancel_inactive(run, reason)
            return run

    async def delete(self, run_id: str, *, tenant: str) -> None:
        """Delete an ended run with its events; the state of a shared thread stays.

        Raises `Conflict` (`run_not_ended`).
        """
        run = self.get(run_id, tenant=tenant)
        if run.ended:
            # It may still be leaving, or come to be held; afterwards it does not change any more.
            run = await self.wait_ended(run_id, tenant=tenant)
        if not run.ended:
            raise rejections.has_not_ended(run)
        await self._store.delete_run(run_id, tenant=tenant)

    def hold_thread(self, thread_id: str, *, tenant: str) -> AbstractAsyncContextManager[None]:
        """Hold a thread's lock: while it is held, nothing begins on the thread."""
        return self._thread_locks.hold(thread_key(tenant, thread_id))

    # reading

    def get(self, run_id: str, *, tenant: str) -> Run:
        """Return the run as it is now; an output that lies in parts is not read.

        Raises `NotFound`, also for another tenant's.
        """
        execution = self._executor.find(run_id)
        run = execution.run if execution else self._store.find_run(run_id, tenant=tenant)
        if run is None or run.tenant != tenant:
            raise rejections.run_not_found(run_id)
        return run

    async def show(self, run_id: str, *, tenant: str) -> Run:
        """Return the run as it is now, whole. Raises as `get` does."""
        run = self.get(run_id, tenant=tenant)
        execution = self._executor.find(run_id)
        return execution.show() if execution else await self._store.read_output(run)

    def follow(self, run_id: str, after: int = 0, *, tenant: str) -> AsyncIterator[Batch]:
        """Return the run's events behind `after`: each once, in order, until it ends or waits."""
        run = self.get(run_id, tenant=tenant)
        if execution := self._executor.find(run_id):
            return execution.log.follow(after)
        stored = self._executor.open_log(run)
        stored.close()
        return stored.follow(after)

    async def wait_ended(self, run_id: str, *, tenant: str) -> Run:
        """Wait until the run has ended or waits for a person, and return it."""
        self.get(run_id, tenant=tenant)
        if execution := self._executor.find(run_id):
            await execution.wait_done()
            # What is on disk now, with its output out of memory.
            if execution.run.ended and execution.log.failure is None:
                return execution.show()
        return await self.show(run_id, tenant=tenant)

    async def wait_left(self, thread_id: str, *, tenant: str) -> None:
        """Wait until runs on a thread that show their end, or a question, have left."""
        for execution in self.active_on_thread(thread_id, tenant=tenant):
            if execution.run.status not in ("queued", "running"):
                await execution.wait_done()

    def active_on_thread(self, thread_id: str, *, tenant: str) -> list[Execution]:
        """List the runs under way or queued on a thread, oldest first."""
        return self._executor.active_on_thread(thread_key(tenant, thread_id))

    def find_busy(self, thread_id: str, *, tenant: str) -> str | None:
        """Return a run, by its id, that has not ended on a thread and does not wait: also held."""
        key = thread_key(tenant, thread_id)
        active = [each.run.run_id for each in self._executor.active_on_thread(key)]
        held = [each.run_id for each in self.held.on_thread(key)]
        return next(iter(active + held), None)

    async def find_run_of_key(self, key: IdempotencyKey) -> KeyedRun | None:
        """Return the run that a key began, or gave an answer.

        Raises `Conflict` (`idempotency_key_reused`) where it came with another request.
        """
        keyed = self._store.find_run_of_key(key)
        if keyed:
            await self._store.read_output(keyed.run)
        return keyed

    def find_waiting(self, thread_id: str, *, tenant: str) -> Run | None:
        """Return the run that waits for a person on a thread."""
        return self._store.find_waiting_run(thread_id, tenant=tenant)

    def last_seq(self, run_id: str, *, tenant: str) -> int:
        """Return the number of the last event that a run's log holds on disk."""
        return self._store.events.last_seq(run_id, tenant=tenant)

    @property
    def closing(self) -> bool:
        """Whether no more runs are accepted, because the service is stopping."""
        return self._closing

    @property
    def active(self) -> int:
        return len(self._executor)

    # life

    async def recover(self, *, hold: bool = False) -> int:
        """Continue every run that was accepted and has not ended; return how many.

        With `hold` they are held until somebody resumes or cancels them. Call this once, before
        the first `submit`.
        """
        self._webhooks.start()
        return await self._recovery.recover(hold=hold)

    async def close(self, grace_s: float) -> None:
        """Accept no more, drain runs at their next step, cut them off after the grace period.

        What was drained or cut off continues at the next start.
        """
        self._closing = True
        await self._recovery.close()
        await self._executor.close(grace_s)

    # inside

    async def _submit(self, request: RunRequest) -> Run:
        self._check_capacity(request.tenant)
        agent = await self.agents.find(request.agent)
        goes_on = request.input is None and request.thread_id is not None
        first_writes = (
            None if goes_on else await run_checks(lambda: agent.initial_state(request.input))
        )
        await self.agents.save(agent)
        await self.agents.compile_ahead(agent)
        if (key := request.thread_key) is None:
            run = await self._attempts.accept(request, agent, first_writes)
        else:
            # Between looking at the thread and joining it, no other request may change it.
            async with self._thread_locks.hold(key):
                await self._recovery.take_up_on_thread(key)
                self._check_held(key)
                await self._multitask.check(request)
                if goes_on:
                    await self._check_goes_on(request, agent)
                await self._multitask.apply(request)
                run = await self._attempts.accept(request, agent, first_writes)
        # The disk took a write. Outside of the thread's lock: this takes locks of other threads.
        await self._recovery.take_up_refused()
        return run

    async def _resume(
        self, run_id: str, answer: Any, tenant: str, key: IdempotencyKey | None = None
    ) -> KeyedRun:
        run = self.get(run_id, tenant=tenant)
        # Readers see the question just before the execution leaves; who answers at once waits.
        if (execution := self._executor.find(run_id)) and run.status == "waiting":
            await execution.wait_done()
        async with self._thread_locks.hold(run.thread_key):
            run = self.get(run_id, tenant=tenant)
            self._check_waits(run)
            self._check_capacity(tenant)
            agent = await self.agents.find_of_run(run)
            asked_at = run.interrupts[0]["checkpoint_id"]
            answers = await match_answers(run, answer)
            way_back = await find_way_back(self._checkpoints, run)
            after = self.last_seq(run_id, tenant=tenant)
            noted = [note_key(key, run_id, after, time.time())] if key else []
            run.resume = {"answers": answers, "checkpoint_id": asked_at}
            run.interrupts = []
            await self._attempts.resume(run, agent, *way_back, *noted)
            return KeyedRun(run, after)

    def _hold_key(self, key: IdempotencyKey) -> AbstractAsyncContextManager[None]:
        """Hold a key's lock: of requests with one key at once, the second finds the first's run."""
        return self._key_locks.hold(f"{key.tenant} {key.key}")

    async def _check_goes_on(self, request: RunRequest, agent: Agent) -> None:
        """Check that a run without input finds something to do: steps left, or an agent that needs
        no input. Behind other runs it is seen when its turn comes. Raises `Invalid`.
        """
        if self._executor.active_on_thread(str(request.thread_key)):
            return
        if not await has_steps(self.agents.compile(agent), request):
            agent.initial_state(None)

    def _check_held(self, key: str) -> None:
        if held := self.held.on_thread(key):
            raise rejections.thread_held(held[0])

    def _check_waits(self, run: Run) -> None:
        if run.status != "waiting":
            raise rejections.not_waiting(run)
        if others := self._executor.active_on_thread(run.thread_key):
            raise rejections.superseded(run, others[0].run.run_id)

    def _check_capacity(self, tenant: str) -> None:
        if self._closing:
            raise shutting_down()
        if len(self._executor) >= self._max_accepted:
            raise rejections.too_many_runs()
        if self._quota:
            self._quota.check(self._executor.count(tenant) + 1)
