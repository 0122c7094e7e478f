"""Readers of a live log: everything once, in order, whenever they come."""

from __future__ import annotations

import asyncio

import pytest

from config.errors import Unavailable
from runs import run_log
from runs.database import Statement
from runs.record import Run
from runs.rows import insert_run
from runs.run_log import BATCH_EVENTS, TAIL_EVENTS, RunLog
from tests.support.runs.engines import Storage
from tests.support.tenants import TENANT


@pytest.fixture
async def storage(storage: Storage) -> Storage:
    """Storage in which the run of the log is."""
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
    return storage


async def read(log: RunLog, after: int = 0) -> list[int]:
    return [event.seq async for batch in log.follow(after) for event in batch.events]


async def test_readers_that_come_at_any_time_see_every_event_once_in_order(
    storage: Storage,
) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    readers = [asyncio.create_task(read(log))]
    for number in range(50):
        log.append("custom", data={"number": number})
        readers.append(asyncio.create_task(read(log, after=number)))
        await asyncio.sleep(0)
    await log.wait_flushed()
    readers.append(asyncio.create_task(read(log)))
    log.close()
    seen = await asyncio.wait_for(asyncio.gather(*readers), 240)
    assert seen[0] == seen[-1] == list(range(1, 51))
    assert seen[1:-1] == [list(range(number + 1, 51)) for number in range(50)]


async def test_a_reader_far_behind_reads_the_store(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    for _ in range(10):
        for number in range(TAIL_EVENTS // 4):
            log.append("custom", data=number)
        await log.wait_flushed()
    late = asyncio.create_task(read(log))
    log.close()
    assert await asyncio.wait_for(late, 240) == list(range(1, TAIL_EVENTS * 10 // 4 + 1))


async def test_very_many_events_are_stored_and_shown_in_parts(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    for number in range(3 * BATCH_EVENTS + 1):
        log.append("custom", data=number)
    await log.wait_flushed()
    log.close()

    for shown in (log, RunLog("run", storage.store, 3 * BATCH_EVENTS + 1, tenant=TENANT)):
        shown.close()
        sizes = [len(batch.events) async for batch in shown.follow()]
        assert sizes == [*[BATCH_EVENTS] * 3, 1]


async def test_a_reader_of_a_run_that_is_deleted_comes_to_an_end(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    for number in range(TAIL_EVENTS + 1):
        log.append("custom", data=number)
        if number == 1:
            await log.wait_flushed()
    await log.wait_flushed()
    await storage.store.delete_run("run", tenant=TENANT)
    assert await asyncio.wait_for(read(log), 240) == []


async def test_an_event_is_stored_before_it_is_shown(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    follower = log.follow()
    log.append("custom", data="first")
    batch = await asyncio.wait_for(anext(follower), 240)
    stored = await storage.store.events.read_page("run", 0, len(batch.events), tenant=TENANT)
    assert stored == batch.events
    log.close()
    await follower.aclose()  # type: ignore[attr-defined]


async def test_a_log_goes_on_counting_where_an_earlier_process_stopped(storage: Storage) -> None:
    first = RunLog("run", storage.store, tenant=TENANT)
    first.append("custom", data=1)
    first.append("custom", data=2)
    await first.wait_flushed()
    second = RunLog(
        "run", storage.store, storage.store.events.last_seq("run", tenant=TENANT), tenant=TENANT
    )
    second.append("custom", data=3)
    await second.wait_flushed()
    second.close()
    assert await read(second) == [1, 2, 3]


async def test_a_disk_that_refuses_an_event_is_told_to_whoever_waits(storage: Storage) -> None:
    storage.database._writing.execute("PRAGMA query_only = ON")
    log = RunLog("run", storage.store, tenant=TENANT)
    log.append("custom", data=1)
    with pytest.raises(Unavailable, match="cannot be written"):
        await log.wait_flushed()


async def test_a_reader_that_leaves_takes_nobody_with_it(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    leaving, staying = asyncio.create_task(read(log)), asyncio.create_task(read(log))
    log.append("custom", data=1)
    await log.wait_flushed()
    leaving.cancel()
    await asyncio.wait([leaving])
    log.append("custom", data=2)
    await log.wait_flushed()
    log.close()
    assert await asyncio.wait_for(staying, 240) == [1, 2]


def write(number: int) -> Statement:
    return Statement("INSERT INTO claims VALUES (?, ?)", (f"run {number}", "step"))


async def written(storage: Storage) -> list[str]:
    return [run_id for (run_id,) in await storage.database.rows("SELECT run_id FROM claims")]


async def test_what_a_step_left_is_stored_with_the_event_of_its_end(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    log.append("custom", data="said by a")
    log.defer_write(write(1), "", step="a")
    log.defer_write(write(2), "")
    await log.wait_flushed()
    assert (await written(storage), storage.store.events.last_seq("run", tenant=TENANT)) == ([], 1)
    log.append("custom", data="a ended")
    log.release_step_writes("a")
    assert log.has_pending_write("")
    await log.wait_flushed()
    assert (await written(storage), storage.store.events.last_seq("run", tenant=TENANT)) == (
        ["run 1", "run 2"],
        2,
    )
    assert not log.has_pending_write("")


async def test_what_nobody_tells_the_end_of_is_stored_when_all_is_told(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    log.defer_write(write(1), "", step="untold")
    log.release_all_writes()
    await log.wait_flushed()
    assert await written(storage) == ["run 1"]


async def test_behind_a_write_that_failed_nothing_is_stored(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    storage.database._writing.execute("PRAGMA query_only = ON")
    log.append("custom", data=1)
    with pytest.raises(Unavailable):
        await log.wait_flushed()
    storage.database._writing.execute("PRAGMA query_only = OFF")
    log.append("custom", data=2)
    with pytest.raises(Unavailable):
        await log.wait_flushed()
    assert storage.store.events.last_seq("run", tenant=TENANT) == 0


async def test_events_shortly_behind_one_another_share_a_write(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "FLUSH_PAUSE_S", 0.5)  # a busy machine takes over 2 ms for ten
    log = RunLog("run", storage.store, tenant=TENANT)
    for _ in range(10):
        log.append("custom", data={})
        await asyncio.sleep(0)
    await log.wait_flushed()

    assert await storage.database.rows("SELECT first, last FROM events") == [(1, 10)]


async def test_an_event_is_shown_although_nobody_waits_for_it(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    log.append("custom", data={})
    log.append("custom", data={})

    batch = await asyncio.wait_for(anext(log.follow()), 240)

    assert [event.seq for event in batch.events] == [1, 2]


async def test_a_step_is_claimed_once_and_behind_all_that_leads_to_it(storage: Storage) -> None:
    log = RunLog("run", storage.store, tenant=TENANT)
    log.defer_write(write(1), "")
    log.append("step.started", node="send", step="s", attempt=1)

    assert await log.claim("s")

    assert await written(storage) == ["run", "run 1"]
    assert storage.store.events.last_seq("run", tenant=TENANT) == 1
    assert not await log.claim("s")
