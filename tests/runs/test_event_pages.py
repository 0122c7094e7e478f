"""Stored events are read in pieces of a bounded size, whatever they hold and however many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.config import get_stream_writer
from langgraph.graph import StateGraph

from runs.events import Batch, encode_event
from runs.record import Run, RunRequest
from runs.rows import insert_run
from runs.run_log import RunLog
from runs.stored_events import PIECE_BYTES, PIECE_EVENTS
from tests.support.runs.engines import EngineFactory, Storage, ended, read_events
from tests.support.runs.graphs import State, chain
from tests.support.tenants import TENANT

EVENTS = 12


def talking(size: int) -> Callable[[], StateGraph[Any]]:
    def speaker(number: int) -> Any:
        async def speak(state: State) -> dict[str, Any]:
            get_stream_writer()({"number": number, "text": "x" * size})
            return {}

        return speak

    return lambda: chain({f"speak{number}": speaker(number) for number in range(EVENTS)})


def events_of(count: int, size: int = 0, first: int = 1) -> Batch:
    data = {"data": "x" * size}
    return Batch([encode_event("run", first + n, "custom", data) for n in range(count)])


async def store_run(storage: Storage, *batches: Batch) -> None:
    run = Run(
        run_id="run",
        tenant=TENANT,
        agent="three",
        version="1",
        thread_id="run",
        own_thread=True,
        status="running",
        attempt=1,
        input={},
        created_at=0.0,
    )
    await storage.database.write(insert_run(run))
    for batch in batches:
        await storage.store.events.append("run", batch)


async def pieces_of(storage: Storage) -> list[Batch]:
    pieces: list[Batch] = []
    after = 0
    while piece := await storage.store.events.read("run", after, tenant=TENANT):
        pieces.append(piece)
        after = piece.last
    return pieces


async def test_pieces_end_by_their_bytes_and_leave_no_event_out(storage: Storage) -> None:
    await store_run(storage, events_of(40, PIECE_BYTES // 10))

    pieces = await pieces_of(storage)

    assert max(piece.size_bytes for piece in pieces) <= PIECE_BYTES
    assert [event.seq for piece in pieces for event in piece.events] == list(range(1, 41))


async def test_pieces_end_by_their_events_whatever_batches_they_were_stored_in(
    storage: Storage,
) -> None:
    large = events_of(2 * PIECE_EVENTS + 7)
    single = [events_of(1, first=large.last + 1 + n) for n in range(PIECE_EVENTS)]
    await store_run(storage, large, *single)

    pieces = await pieces_of(storage)

    assert [len(piece.events) for piece in pieces] == [*[PIECE_EVENTS] * 3, 7]
    assert [event.seq for piece in pieces for event in piece.events] == list(
        range(1, 3 * PIECE_EVENTS + 8)
    )


async def test_an_event_larger_than_a_piece_is_a_piece(storage: Storage) -> None:
    await store_run(storage, events_of(3, 2 * PIECE_BYTES))

    assert [len(piece.events) for piece in await pieces_of(storage)] == [1, 1, 1]


async def test_a_page_holds_the_events_that_were_asked_for_and_no_more(storage: Storage) -> None:
    await store_run(storage, events_of(1000), events_of(1000, first=1001))

    page = await storage.store.events.read_page("run", 950, 100, tenant=TENANT)

    assert [event.seq for event in page] == list(range(951, 1051))


async def test_readers_of_one_stored_run_share_its_pieces(storage: Storage) -> None:
    await store_run(storage, events_of(2 * PIECE_EVENTS))
    read = storage.store.events.read

    together = await asyncio.gather(*(read("run", 0, tenant=TENANT) for _ in range(5)))
    later = await read("run", 0, tenant=TENANT)

    assert all(piece is later for piece in together)


async def test_a_reader_at_the_end_of_a_log_sees_what_is_stored_later(storage: Storage) -> None:
    await store_run(storage, events_of(3))
    read = storage.store.events.read
    before = await read("run", 0, tenant=TENANT)

    await storage.store.events.append("run", events_of(2, first=4))
    after = await read("run", 0, tenant=TENANT)

    assert (before and before.last, after and after.last) == (3, 5)


async def test_pieces_of_a_deleted_run_are_not_read_any_more(storage: Storage) -> None:
    await store_run(storage, events_of(2 * PIECE_EVENTS))
    assert await storage.store.events.read("run", 0, tenant=TENANT)

    await storage.store.delete_run("run", tenant=TENANT)

    assert await storage.store.events.read("run", 0, tenant=TENANT) is None


async def test_a_live_log_holds_large_events_for_readers_by_their_bytes(storage: Storage) -> None:
    await store_run(storage)
    log = RunLog("run", storage.store, tenant=TENANT)
    for number in range(40):
        log.append("custom", data=f"{number}" + "x" * PIECE_BYTES)
    await log.wait_flushed()
    log.close()

    assert sum(batch.size_bytes for batch in log._tail) < 20 * PIECE_BYTES
    assert [batch.last async for batch in log.follow()][-1] == 40


async def test_followers_get_all_events_over_pieces(
    process: EngineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.stored_events.PIECE_BYTES", 20_000)
    process.graphs["talks"] = talking(9_000)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="talks", input={}, tenant=TENANT))
        await ended(engine, run.run_id)
        events = await read_events(engine, run.run_id)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["type"] == "custom" for event in events) == EVENTS
    assert events[-1]["type"] == "run.finished"
