"""Pages of runs, threads and histories end by their bytes too, and say where they go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from runs.engine import RunEngine
from runs.pages import Page, fill_page
from runs.record import RunRequest
from tests.support.runs.engines import EngineFactory
from tests.support.tenants import TENANT

LARGE = {"x": 0, "log": ["x" * 5000]}


async def finish(engine: RunEngine, thread_id: str | None = None) -> str:
    request = RunRequest(
        agent="three", tenant=TENANT, input=LARGE, thread_id=thread_id, create_thread=True
    )
    run = await engine.submit(request)
    await asyncio.wait_for(engine.wait_ended(run.run_id, tenant=TENANT), 240)
    return run.run_id


async def taken(sizes: list[int], limit: int, max_bytes: int) -> Page[str]:
    async def items() -> AsyncIterator[str]:
        for size in sizes:
            yield "x" * size

    return await fill_page(items(), limit, lambda page: str(len(page)), max_bytes)


async def test_page_ends_at_its_number_of_items_or_of_bytes_whichever_is_first() -> None:
    for sizes, limit, expected in [
        ([10] * 5, 3, (3, "3")),
        ([40] * 5, 9, (2, "2")),
        ([10, 500, 10], 9, (1, "1")),
        ([500, 10], 9, (1, "1")),
        ([10, 10], 9, (2, None)),
        ([], 9, (0, None)),
    ]:
        page = await taken(sizes, limit, 100)

        assert (len(page), page.next) == expected


async def test_pages_of_large_runs_are_short_and_leave_none_out(
    engine: RunEngine, process: EngineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await finish(engine) for _ in range(5)]
    monkeypatch.setattr("runs.store.PAGE_BYTES", 20_000)
    page = await process.store.list_runs(tenant=TENANT, limit=100)
    pages = [[run.run_id for run in page]]

    while page.next:
        page = await process.store.list_runs(tenant=TENANT, limit=100, before=page.next)
        pages.append([run.run_id for run in page])

    assert len(pages) > 1
    assert [run for page in pages for run in page] == ids[::-1]


async def test_one_run_above_the_bytes_of_a_page_is_a_page(
    engine: RunEngine, process: EngineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await finish(engine)
    monkeypatch.setattr("runs.store.PAGE_BYTES", 10)

    page = await process.store.list_runs(tenant=TENANT, limit=100)

    assert [run.run_id for run in page] == [run_id]
    assert page.next is None


async def test_pages_of_threads_and_of_their_states_go_on_where_they_ended(
    engine: RunEngine, process: EngineFactory
) -> None:
    thread_id = str(uuid4())
    await finish(engine, thread_id)
    await finish(engine, str(uuid4()))
    whole = await process.threads.get_history(thread_id, limit=100, tenant=TENANT)

    first = await process.threads.get_history(thread_id, limit=2, tenant=TENANT)
    rest = await process.threads.get_history(thread_id, limit=100, before=first.next, tenant=TENANT)
    threads = await process.threads.search(limit=1, tenant=TENANT)
    others = await process.threads.search(limit=2, offset=int(threads.next or 0), tenant=TENANT)

    assert [each["checkpoint_id"] for each in (*first, *rest)] == [
        each["checkpoint_id"] for each in whole
    ]
    assert (whole.next, rest.next) == (None, None)
    assert len({each["thread_id"] for each in (*threads, *others)}) == 2
