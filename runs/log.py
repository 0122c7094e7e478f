"""The live end of a run's log: numbers events, stores them, then shows them to readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from runs.database import Statement
from runs.events import Batch, RunEvent, encode_event
from runs.record import Run
from runs.store import RunStore

TAIL_EVENTS = 2_000
"""Events kept in memory for readers that follow; who falls further behind reads the store."""


@dataclass(slots=True)
class _Kept:
    """A write of the run's graph that waits for its turn; with `step`, for that step's end."""

    statement: Statement
    place: str
    step: str | None


class RunLog:
    """The log of one run that is under way.

    A reader is shown an event only when it is committed, so what it saw survives a killed
    process, and a number never comes to mean something else. Readers hold nothing but their own
    position: a slow one costs no memory and loses nothing.

    The writes of the run's graph go the same way, in their place among the events: what a step
    left is stored with the event that tells of its end and behind all that the step said. So
    after a crash nothing that was done is untold, and nothing told as done is done again.
    """

    def __init__(self, run_id: str, store: RunStore, last: int = 0) -> None:
        self.run_id = run_id
        self._store = store
        self._last = last
        self._shown = last
        self._pending: list[RunEvent] = []
        self._kept: deque[_Kept] = deque()
        self._ready: list[_Kept] = []
        self._storing: list[_Kept] = []
        self._tail: deque[Batch] = deque()
        self._tail_events = 0
        self._flushing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.closed = False
        self.failure: BaseException | None = None

    def append(self, type_: str, **fields: Any) -> None:
        """Number an event and have it stored soon, together with what else is said meanwhile."""
        self._pending.append(self._number(type_, fields))
        self._flush_soon()

    def defer_write(self, statement: Statement, place: str, step: str | None = None) -> None:
        """Store a write of the graph at `place` soon, in the order of the calls.

        With `step` it waits, and all behind it, until the end of that step is told.
        """
        self._kept.append(_Kept(statement, place, step))
        self._release_writes()

    def has_pending_write(self, place: str) -> bool:
        """Whether a write at this place is not on disk yet."""
        return any(kept.place == place for kept in (*self._kept, *self._ready, *self._storing))

    def release_step_writes(self, step: str) -> None:
        """The end of a step is told: what it left is stored together with that."""
        for kept in self._kept:
            if kept.step == step:
                kept.step = None
        self._release_writes()

    def release_all_writes(self) -> None:
        """Everything is told: nothing waits for the end of a step any more."""
        for kept in self._kept:
            kept.step = None
        self._release_writes()

    def begin(self, type_: str, **fields: Any) -> Batch:
        """The first event of an attempt, for the caller to store and then to `show`."""
        return Batch([self._number(type_, fields)])

    async def record(self, run: Run, type_: str, *more: Statement, **fields: Any) -> None:
        """Store the run's state in one transaction with all events up to the one that tells of it.

        Raises what the store raises; the state on disk is then the one before.
        """
        pending, self._pending = self._pending, []
        ready, self._ready = self._ready, []
        await self.wait_flushed()
        batch = Batch([*pending, self._number(type_, fields)])
        try:
            await self._store.save_run(run, batch, *_statements(ready), *more)
        except Exception as error:
            self.failure = error
            raise
        self.publish(batch)

    def publish(self, batch: Batch) -> None:
        """Let readers see a batch that is committed."""
        if not batch.events:
            return
        self._tail.append(batch)
        self._tail_events += len(batch.events)
        self._shown = batch.last
        while self._tail_events > TAIL_EVENTS and len(self._tail) > 1:
            self._tail_events -= len(self._tail.popleft().events)
        self._wake()

    async def wait_flushed(self) -> None:
        """Wait until everything said so far is stored and shown.

        Raises what the store raised, `Unavailable` for a disk that is full.
        """
        while self._flushing is not None:
            await asyncio.shield(self._flushing)
        if self.failure:
            raise self.failure

    def close(self) -> None:
        """No more events come: readers end when they have seen the last one."""
        self.closed = True
        self._wake()

    async def follow(self, after: int = 0) -> AsyncIterator[Batch]:
        """Every batch behind `after`, in order and once, until the log is closed or forgotten."""
        while True:
            batches = self._behind(after) or await self._stored(after)
            for batch in batches:
                yield batch
                after = batch.last
            if after < self._shown:
                if not batches:
                    return  # the run was deleted
                continue
            if self.closed:
                return
            await self._news.wait()

    async def follow_stored(self) -> AsyncIterator[Batch]:
        """What earlier attempts said, from the first event on."""
        after = 0
        while batches := await self._store.read_events(self.run_id, after):
            for batch in batches:
                yield batch
                after = batch.last

    def _behind(self, after: int) -> list[Batch]:
        if not self._tail or self._tail[0].first > after + 1:
            return []
        return [batch.after(after) for batch in self._tail if batch.last > after]

    async def _stored(self, after: int) -> list[Batch]:
        return [] if after >= self._shown else await self._store.read_events(self.run_id, after)

    def _release_writes(self) -> None:
        while self._kept and self._kept[0].step is None:
            self._ready.append(self._kept.popleft())
            self._flush_soon()

    def _number(self, type_: str, fields: dict[str, Any]) -> RunEvent:
        self._last += 1
        return encode_event(self.run_id, self._last, type_, fields)

    def _flush_soon(self) -> None:
        # Nothing is stored behind a write that failed: it would leave a hole.
        if self._flushing is None and self.failure is None:
            self._flushing = asyncio.create_task(self._flush(), name=f"log {self.run_id}")

    async def _flush(self) -> None:
        try:
            while self._pending or self._ready:
                batch, self._pending = Batch(self._pending), []
                self._storing, self._ready = self._ready, []
                await self._store.append_events(self.run_id, batch, *_statements(self._storing))
                self.publish(batch)
        except Exception as error:
            self.failure = error
        finally:
            self._flushing, self._storing = None, []

    def _wake(self) -> None:
        # set() marks every waiting reader as woken at once; clear() arms it for the next news.
        self._news.set()
        self._news.clear()


def _statements(kept: list[_Kept]) -> list[Statement]:
    return [each.statement for each in kept]
