"""Stored events are read in pages of a bounded size, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.config import get_stream_writer
from langgraph.graph import StateGraph

from runs.record import RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
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


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("runs.store.PAGE_BYTES", 20_000)
    return 20_000


async def test_page_ends_behind_the_batch_that_fills_it(
    process: EngineFactory, small_pages: int
) -> None:
    process.graphs["talks"] = talking(9_000)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="talks", input={}, tenant=TENANT))
        await ended(engine, run.run_id)
        after, pages = 0, []
        while batches := await process.store.read_events(run.run_id, after, 1000, tenant=TENANT):
            pages.append(batches)
            after = batches[-1].last

    assert len(pages) > 1
    for page in pages:
        behind = sum(len(event.json) for batch in page[:-1] for event in batch.events)
        assert behind < small_pages
    numbers = [event.seq for page in pages for batch in page for event in batch.events]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_event_larger_than_a_page_comes_by_itself(
    process: EngineFactory, small_pages: int
) -> None:
    process.graphs["talks"] = talking(3 * small_pages)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="talks", input={}, tenant=TENANT))
        await ended(engine, run.run_id)
        first = await process.store.read_events(run.run_id, 2, 1000, tenant=TENANT)

    assert len(first) >= 1


async def test_followers_get_all_events_over_pages(
    process: EngineFactory, small_pages: int
) -> None:
    process.graphs["talks"] = talking(9_000)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="talks", input={}, tenant=TENANT))
        await ended(engine, run.run_id)
        events = await read_events(engine, run.run_id)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["type"] == "custom" for event in events) == EVENTS
    assert events[-1]["type"] == "run.finished"
