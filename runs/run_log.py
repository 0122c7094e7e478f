"""The live log of a run: numbers events, stores them, then publishes them to readers.

Owns the order of a run's events and of its graph's writes, and the readers' wake-ups; what an
event says is `stream_translator`'s, the commit is `database`'s.

Invariants:
- Numbers count from 1 without gaps, over all attempts.
- An event is published only after its commit, so what a reader saw survives a killed process, and
  a number never comes to mean something else.
- What a step wrote is committed together with the event of that step's end, behind all events of
  the step. So after a crash no finished work lacks its event, and no event reports work that is
  done again.
- Nothing is stored behind a write that failed: the disk holds a prefix of the log, never a hole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from runs.database import Statement
from runs.events import Batch, FinishedEvent, RunEvent, encode_event
from runs.record import Run, RunStatus
from runs.store import RunStore
from runs.stored_events import StepRecord

BATCH_EVENTS, BATCH_BYTES = 500, 256 * 1024
"""Of what is stored, and encoded for readers, at once; a single event may be larger."""
FLUSH_PAUSE_S = 0.002
"""Between two writes of one log: what comes meanwhile shares the second. An event behind a pause
is written at once."""
TAIL_EVENTS, TAIL_BYTES = 2_000, 4 * 2**20
"""Of what is held in memory for readers that follow; one further behind reads the store."""
INLINE_OUTPUT_BYTES = 1024
"""A larger output is stored with its run alone, not in the event of the run's end too."""


@dataclass(slots=True)
class _DeferredWrite:
    """A write of the run's graph that is not stored yet; with `step`, waits for that step's end.

    `namespace` is that of the graph, or subgraph, which wrote it.
    """

    statement: Statement
    namespace: str
    step: str | None


class RunLog:
    """The log of one run that is under way.

    Readers hold nothing but their own position: a slow one costs no memory and loses nothing.
    """

    def __init__(self, run_id: str, store: RunStore, last: int = 0, *, tenant: str) -> None:
        """Continue behind event `last`, the last one in the store."""
        self.run_id = run_id
        self._tenant = tenant
        self._store = store
        self._last = last
        self._published = last
        self._pending: list[RunEvent] = []
        # A write goes from deferred over ready to storing; only the first wait for steps.
        self._deferred: deque[_DeferredWrite] = deque()
        self._ready: list[_DeferredWrite] = []
        self._storing: list[_DeferredWrite] = []
        self._tail: deque[Batch] = deque()
        self._tail_events = self._tail_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._flushing: asyncio.Task[None] | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        # A run's first write is made elsewhere, as it is accepted.
        self._flushed_at = self._loop.time()
        self._changed = asyncio.Event()
        self.closed = False
        self.failure: BaseException | None = None
        """What the store raised first; nothing is stored any more."""
        self.unstorable: Exception | None = None
        """Why a step's write could not be encoded: no checkpoint may hold it either."""

    def append(self, type_: str, **fields: Any) -> None:
        """Number an event and store it soon, together with others that come meanwhile.

        Raises `TypeError` for what has no JSON; no number is spent on it then.
        """
        self._pending.append(self._number(type_, fields))
        self._flush_soon()

    def number(self, type_: str, **fields: Any) -> RunEvent:
        """Take the next number for an event, for the caller to store and then to `publish`.

        Raises as `append` does.
        """
        return self._number(type_, fields)

    def number_end(
        self, run: Run, status: RunStatus, reason: str, data: dict[str, Any]
    ) -> RunEvent:
        """Move the run to `status` and number the event that reports it: both, or neither.

        Raises `IllegalTransition` and, for data without JSON, `TypeError`; no number is spent and
        the run stays as it is then.
        """
        run.check_transition(status, reason)
        event = self._number(f"run.{status}", {"data": data})
        run.transition(status, reason)
        return event

    def number_finish(self, run: Run, reason: str, output: Callable[[], Any]) -> RunEvent:
        """Move the run, whose output is encoded, to its end and number the event that reports it.

        `output` makes the whole output, for readers of the event. Raises as `number_end` does.
        """
        assert run.encoded_output
        encoded, parts = run.encoded_output
        if not parts and len(encoded) <= INLINE_OUTPUT_BYTES:
            return self.number_end(run, "finished", reason, {"output": orjson.Fragment(encoded)})
        bare = self.number_end(run, "finished", reason, {})
        return FinishedEvent(bare.seq, bare.type, bare.stored, output)

    def defer_write(self, statement: Statement, namespace: str, step: str | None = None) -> None:
        """Store a write of the graph soon, in the order of the calls.

        With `step` it waits, and all writes behind it, for `release_step_writes` of that step.
        """
        self._deferred.append(_DeferredWrite(statement, namespace, step))
        self._release_writes()

    def has_pending_write(self, namespace: str) -> bool:
        """Return whether a write of this namespace is not on disk yet."""
        pending = (*self._deferred, *self._ready, *self._storing)
        return any(write.namespace == namespace for write in pending)

    def release_step_writes(self, step: str) -> None:
        """Store what the step wrote together with the event of its end, just appended."""
        for write in self._deferred:
            if write.step == step:
                write.step = None
        self._release_writes()

    def release_all_writes(self) -> None:
        """Let no write wait for the end of a step any longer."""
        for write in self._deferred:
            write.step = None
        self._release_writes()

    async def record(self, run: Run, last: RunEvent, *more: Statement) -> None:
        """Store the run's state in one transaction with all events up to `last`, which reports it.

        `last` comes from `number`; nothing may be appended behind it before this returns.
        Raises what the store raises; the state on disk is then the one before.
        """
        if self._count_next() < len(self._pending):
            self._flush_soon()
            await self.wait_flushed()
        self._stop_timer()
        pending, self._pending = self._pending, []
        ready, self._ready = self._ready, []
        # A flush under way holds earlier numbers: those must be committed, and published, first.
        await self.wait_flushed()
        batch = Batch([*pending, last])
        try:
            await self._store.save_run(run, batch, *_statements(ready), *more)
        except Exception as error:
            self.failure = error
            raise
        self._flushed_at = self._loop.time()
        self.publish(batch)

    async def claim(self, step: str) -> bool:
        """Claim a step of the run; return whether it was the first claim. On disk on return.

        Behind the checkpoint that leads to the step: without that, a run that is taken up after a
        crash would come to the same work as another step.
        """
        await self.wait_flushed()
        return await self._store.claim(self.run_id, step, tenant=self._tenant)

    async def save(self, run: Run) -> None:
        """Store the run's state, behind all events so far, where no event reports it."""
        await self.wait_flushed()
        await self._store.save_run(run)

    def publish(self, batch: Batch) -> None:
        """Show readers a batch that is committed."""
        if not batch.events:
            return
        self._tail.append(batch)
        self._tail_events += len(batch.events)
        self._tail_bytes += batch.size_bytes
        self._published = batch.last
        while len(self._tail) > 1 and (
            self._tail_events > TAIL_EVENTS or self._tail_bytes > TAIL_BYTES
        ):
            dropped = self._tail.popleft()
            self._tail_events -= len(dropped.events)
            self._tail_bytes -= dropped.size_bytes
        self._wake_readers()

    async def wait_flushed(self) -> None:
        """Wait until everything appended so far is stored and published.

        Raises what the store raised, `Unavailable` (`run_storage_failed`) for a full disk.
        """
        while self._flush_timer or self._flushing:
            if self._flush_timer:
                self._flush()
            # Shielded: a cancelled run must not take its own events out of the flush.
            if self._flushing:
                await asyncio.shield(self._flushing)
        if self.failure:
            raise self.failure

    def fail(self, error: BaseException) -> None:
        """Store nothing more: a write of this log that was made elsewhere has failed."""
        if self.failure is None:
            self.failure = error

    def rewind(self) -> None:
        """Forget what was not stored, and continue behind what was.

        For the last word on an attempt that broke; nothing of its own may be stored any more.
        """
        self._last = self._store.events.last_seq(self.run_id, tenant=self._tenant)
        self._pending, self._ready = [], []
        self._deferred.clear()
        self.failure = None

    def close(self) -> None:
        """End the readers once they have seen the last event; no more may be appended."""
        self.closed = True
        self._wake_readers()

    async def follow(self, after: int = 0) -> AsyncIterator[Batch]:
        """Yield every batch behind `after`, in order and once, until the log closes.

        A reader may come and go at any time. It ends early when the run is deleted.
        """
        while True:
            batches = self._tail_after(after) or await self._read_stored(after)
            for batch in batches:
                yield batch
                after = batch.last
            if after < self._published:
                if not batches:
                    return  # the run was deleted
                continue
            if self.closed:
                return
            # No await stands between the look at `_published` and this wait, and `set()` wakes
            # whoever waits already: no batch can be missed.
            await self._changed.wait()

    async def read_steps(self) -> list[StepRecord]:
        """Return the begins and ends of steps that earlier attempts stored."""
        return await self._store.events.read_steps(self.run_id, tenant=self._tenant)

    def _tail_after(self, after: int) -> list[Batch]:
        if not self._tail or self._tail[0].first > after + 1:
            return []
        return [batch.after(after) for batch in self._tail if batch.last > after]

    async def _read_stored(self, after: int) -> list[Batch]:
        if after >= self._published:
            return []
        batch = await self._store.events.read(self.run_id, after, tenant=self._tenant)
        return [batch] if batch else []

    def _release_writes(self) -> None:
        # In order: a write that waits for its step holds back all that came later.
        while self._deferred and self._deferred[0].step is None:
            self._ready.append(self._deferred.popleft())
            self._flush_soon()

    def _number(self, type_: str, fields: dict[str, Any]) -> RunEvent:
        event = encode_event(self.run_id, self._last + 1, type_, fields)
        self._last += 1  # after the encoding, which may raise: a gap would never be filled
        return event

    def _flush_soon(self) -> None:
        # Nothing is stored behind a write that failed: it would leave a hole.
        if self._flush_timer or self._flushing or self.failure:
            return
        pause_s = self._flushed_at + FLUSH_PAUSE_S - self._loop.time()
        if pause_s > 0:
            self._flush_timer = self._loop.call_later(pause_s, self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        self._stop_timer()
        if self.failure is None:
            self._flushing = self._loop.create_task(
                self._store_pending(), name=f"log {self.run_id}"
            )

    def _stop_timer(self) -> None:
        if self._flush_timer:
            self._flush_timer.cancel()
            self._flush_timer = None

    async def _store_pending(self) -> None:
        try:
            while self._pending or self._ready:
                count = self._count_next()
                batch = Batch(self._pending[:count])
                self._pending = self._pending[count:]
                # With the last event, which may end the step whose writes they are.
                ready = [] if self._pending else self._ready
                self._storing, self._ready = ready, self._ready if self._pending else []
                await self._store.events.append(self.run_id, batch, *_statements(self._storing))
                self.publish(batch)
                if self._count_next() == len(self._pending):
                    break
        except Exception as error:
            self.failure = error
        finally:
            self._flushing, self._storing = None, []
            self._flushed_at = self._loop.time()
            # What was appended while the commit was under way goes with the next one.
            if self._pending or self._ready:
                self._flush_soon()

    def _count_next(self) -> int:
        """Count the pending events that the next batch takes."""
        size = 0
        for count, event in enumerate(self._pending[:BATCH_EVENTS]):
            size += len(event.stored)
            if count and size > BATCH_BYTES:
                return count
        return min(len(self._pending), BATCH_EVENTS)

    def _wake_readers(self) -> None:
        # set() marks every waiting reader as woken at once; clear() arms it for the next change.
        self._changed.set()
        self._changed.clear()


def _statements(writes: list[_DeferredWrite]) -> list[Statement]:
    return [write.statement for write in writes]
