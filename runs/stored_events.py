"""Queries of events: a run's log as it is on disk, read in pieces of a bounded size.

A row of `events` is a batch; rows are read and decoded in the reading thread. Invariants:
- What a piece costs depends neither on the log's length nor on the place in it.
- Readers that want one full piece at about the same time share it.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import NamedTuple

import orjson
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.database import RunDatabase, Statement, reading
from runs.events import Batch, RunEvent, dumps, is_without_output, load_events, with_output
from runs.outputs import load_output, read_output
from runs.pages import PAGE_BYTES
from runs.parts.part_reader import PartReader
from runs.record import thread_key
from runs.rows import OF_RUN, insert_events

PIECE_EVENTS = 500
"""Events that a follower of a stored log is given at once."""
PIECE_BYTES = 256 * 1024
"""Of one piece as JSON; a single event may be larger."""
SHARED_PIECES = 32
"""Pieces in memory for readers that follow each other closely."""

_ROWS = (
    f"SELECT first, batch FROM events WHERE {OF_RUN} AND first >= coalesce("
    f"(SELECT max(first) FROM events WHERE {OF_RUN} AND first <= ?), 0) "
    "AND first <= ? AND last > ? ORDER BY first"
)
_ROWS_BEHIND = (
    f"SELECT first, batch FROM events WHERE {OF_RUN} AND first > ? ORDER BY first LIMIT 100"
)
_OUTPUT = "SELECT output, output_parts, tenant, thread_id FROM runs WHERE run_id = ? AND tenant = ?"
_LAST = f"SELECT last FROM events WHERE {OF_RUN} ORDER BY first DESC LIMIT 1"
_OF_STEPS = re.compile(rb'^\{"type":"(?:run\.started|step\.started|step\.finished)".*$', re.M)
"""Those lines of a stored batch; JSON has no line breaks."""
_BEGINS = (b'{"type":"step.', b'{"type":"run.started"')


class StepRecord(NamedTuple):
    """An event of a step's begin or end; `run_attempt` is the attempt at the run it happened in."""

    type: str
    step: str
    attempt: int
    run_attempt: int


class _Piece(NamedTuple):
    """Events of a log behind a number; a full one will never hold more."""

    batch: Batch | None
    full: bool


class StoredEvents:
    """Reads and writes of events. The tenant's are found alone."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database
        self._pieces: OrderedDict[tuple[str, str, int], asyncio.Future[_Piece]] = OrderedDict()

    def append(self, run_id: str, batch: Batch, *more: Statement) -> asyncio.Future[None]:
        """Store events, which may be none, and `more` in one transaction."""
        events = [insert_events(run_id, batch)] if batch.events else []
        return self._database.write(*events, *more)

    def last_seq(self, run_id: str, *, tenant: str) -> int:
        """Return the number of the run's last stored event, 0 where it has none."""
        row = self._database.row(_LAST, (run_id, tenant))
        return int(row[0]) if row else 0

    async def read(self, run_id: str, after: int, *, tenant: str) -> Batch | None:
        """Read the next events behind number `after`, None where there are none.

        There are `PIECE_EVENTS` at most, of about `PIECE_BYTES`.
        """
        key = (tenant, run_id, after)
        if shared := self._pieces.get(key):
            piece = await asyncio.shield(shared)
            # One that is not full was read when less was stored.
            if piece.full:
                return piece.batch
        load = partial(_read_piece, run_id, tenant, after, PIECE_EVENTS, PIECE_BYTES)
        loading = asyncio.ensure_future(self._database.read(load))
        self._share(key, loading)
        return (await asyncio.shield(loading)).batch

    async def read_page(
        self, run_id: str, after: int, limit: int, *, tenant: str
    ) -> list[RunEvent]:
        """Read at most `limit` events behind number `after`, and about `PAGE_BYTES` of them."""
        load = partial(_read_piece, run_id, tenant, after, limit, PAGE_BYTES)
        batch = (await self._database.read(load)).batch
        return list(batch.events) if batch else []

    async def read_steps(self, run_id: str, *, tenant: str) -> list[StepRecord]:
        """Read which steps of a run have begun and ended, in the order of its log."""
        records: list[StepRecord] = []
        first, run_attempt = 0, 1
        # Page by page: one long read would hold up all others.
        while rows := await self._database.rows(_ROWS_BEHIND, (run_id, tenant, first)):
            batches = [stored for _, stored in rows]
            steps, run_attempt = await asyncio.to_thread(find_steps, batches, run_attempt)
            records += steps
            first = rows[-1][0]
        return records

    def forget(self, run_id: str) -> None:
        """Drop what is in memory of a run that is deleted."""
        for key in [key for key in self._pieces if key[1] == run_id]:
            del self._pieces[key]

    def _share(self, key: tuple[str, str, int], loading: asyncio.Future[_Piece]) -> None:
        self._pieces[key] = loading
        loading.add_done_callback(partial(self._keep_full, key))
        while len(self._pieces) > SHARED_PIECES:
            self._pieces.popitem(last=False)

    def _keep_full(self, key: tuple[str, str, int], loading: asyncio.Future[_Piece]) -> None:
        failed = loading.cancelled() or loading.exception() is not None
        if (failed or not loading.result().full) and self._pieces.get(key) is loading:
            del self._pieces[key]


def _read_piece(
    run_id: str, tenant: str, after: int, limit: int, max_bytes: int, reader: sqlite3.Connection
) -> _Piece:
    run = (run_id, tenant)
    events: list[RunEvent] = []
    size = 0
    bounds = (after + 1, after + limit, after)
    with reading(reader), closing(reader.execute(_ROWS, (*run, *run, *bounds))) as rows:
        for first, stored in rows:
            for bare in load_events(first, stored, after, limit - len(events)):
                event = _complete(bare, run, reader) if is_without_output(bare) else bare
                size += len(event.stored)
                if events and size > max_bytes:
                    return _Piece(Batch(events), full=True)
                events.append(event)
    return _Piece(Batch(events) if events else None, full=len(events) == limit)


def _complete(event: RunEvent, run: tuple[str, str], reader: sqlite3.Connection) -> RunEvent:
    """Return the end of a run with the run's output."""
    row = reader.execute(_OUTPUT, run).fetchone()
    if row is None:
        return event
    output, parts, tenant, thread_id = row
    if parts:
        part_reader = PartReader(thread_key(tenant, thread_id), JsonPlusSerializer())
        whole = dumps(read_output(load_output(output, parts), part_reader.on(reader)))
    else:
        whole = output.encode()
    return replace(event, stored=with_output(event.stored, whole))


def find_steps(batches: Iterable[bytes], run_attempt: int = 1) -> tuple[list[StepRecord], int]:
    """Return the begins and ends of steps in stored batches, and the attempt they end in.

    `run_attempt` is the attempt at the run in which they begin.
    """
    steps: list[StepRecord] = []
    # Most batches of a long log hold tokens alone, which is seen at once.
    of_steps = [batch for batch in batches if any(begin in batch for begin in _BEGINS)]
    for line in chain.from_iterable(map(_OF_STEPS.findall, of_steps)):
        event = orjson.loads(line)
        if event["type"] == "run.started":
            run_attempt = event["attempt"]
        else:
            steps.append(StepRecord(event["type"], event["step"], event["attempt"], run_attempt))
    return steps, run_attempt
