"""The numbered events: every reader gets each one once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from models.events import Events

BOUND_S = 120.0


async def taken(events: AsyncIterator[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    async with asyncio.timeout(BOUND_S):
        return [await anext(events) for _ in range(count)]


async def test_readers_get_what_comes_after_they_asked_even_if_they_read_later() -> None:
    events = Events()
    events.add("before")
    late, whole = events.follow(), events.follow(after=0)
    events.add("one", model="a")
    events.add("two")
    assert [each["event"] for each in await taken(late, 2)] == ["one", "two"]
    numbers = [(each["seq"], each["event"]) for each in await taken(whole, 3)]
    assert numbers == [(1, "before"), (2, "one"), (3, "two")]


async def test_many_readers_see_each_event_once_while_it_happens() -> None:
    events = Events()
    readers = [asyncio.create_task(taken(events.follow(), 50)) for _ in range(20)]
    await asyncio.sleep(0)
    for number in range(50):
        events.add("news", number=number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    for seen in await asyncio.gather(*readers):
        assert [each["number"] for each in seen] == list(range(50))


async def test_a_reader_that_left_off_goes_on_where_it_was() -> None:
    events = Events(first=100)
    for number in range(5):
        events.add("news", number=number)
    first = await taken(events.follow(after=0), 3)
    rest = await taken(events.follow(after=first[-1]["seq"]), 2)
    assert [each["number"] for each in [*first, *rest]] == [0, 1, 2, 3, 4]


async def test_slow_reader_gets_a_gap_event_with_the_count() -> None:
    events = Events(max_events=3)
    slow = events.follow()
    for number in range(10):
        events.add("news", number=number)
    missed, *rest = await taken(slow, 4)
    assert (missed["event"], missed["count"], missed["seq"]) == ("gap", 7, 7)
    assert [each["number"] for each in rest] == [7, 8, 9]


async def test_numbers_of_an_earlier_start_get_all_that_is_new() -> None:
    events = Events(first=1000)
    events.add("new")
    assert [each["event"] for each in await taken(events.follow(after=17), 1)] == ["new"]


async def test_a_reader_from_an_earlier_start_waits_while_there_is_nothing_yet() -> None:
    events = Events(first=1000)
    reader = asyncio.create_task(taken(events.follow(after=17), 1))
    await asyncio.sleep(0)
    events.add("first")
    assert (await reader)[0]["event"] == "first"


async def test_a_number_of_the_future_waits_for_what_comes_next() -> None:
    events = Events()
    reader = events.follow(after=999)
    events.add("next")
    assert (await taken(reader, 1))[0]["event"] == "next"


async def test_closing_ends_readers_after_the_last_event() -> None:
    events = Events()
    reader = events.follow()
    events.add("last")
    events.close()
    async with asyncio.timeout(BOUND_S):
        assert [each["event"] async for each in reader] == ["last"]


async def test_a_reader_that_is_cancelled_disturbs_no_other() -> None:
    events = Events()
    gone, stays = (asyncio.create_task(taken(events.follow(), 1)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    events.add("news")
    assert (await stays)[0]["event"] == "news"


async def test_a_reader_of_everything_waits_where_nothing_has_happened_yet() -> None:
    events = Events(first=1000)
    reader = events.follow(0)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    events.add("ready", model="a")
    assert (await waiting)["seq"] == 1000
    events.close()
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
