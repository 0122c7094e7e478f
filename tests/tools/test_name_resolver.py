"""Looking names up holds up neither other work nor, for ever, who asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from config.errors import Unavailable
from tools import name_resolver
from tools.name_resolver import NameResolver
from tools.safe_fetch import FetchLimits, fetch

BOUND_S = 120


class SlowNames:
    """Name servers that answer when they are let."""

    def __init__(self) -> None:
        self.answering = threading.Event()
        self.asked = threading.Semaphore(0)

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.release()
        assert self.answering.wait(BOUND_S)
        return ["127.0.0.1"]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowNames]:
    names = SlowNames()
    monkeypatch.setattr(name_resolver, "look_up", names)
    yield names
    names.answering.set()


async def test_slow_lookups_take_no_shared_threads(slow: SlowNames) -> None:
    resolver = NameResolver()
    lookups = [asyncio.create_task(resolver(f"{n}.test", 80)) for n in range(50)]
    await asyncio.sleep(0)

    async with asyncio.timeout(BOUND_S):
        assert await asyncio.gather(*[asyncio.to_thread(int, "7") for _ in range(50)]) == [7] * 50

    slow.answering.set()
    assert await asyncio.gather(*lookups) == [["127.0.0.1"]] * 50


async def test_lookup_is_given_up_in_time_and_its_place_counts_until_it_ends(
    slow: SlowNames,
) -> None:
    resolver = NameResolver(max_lookups=1, timeout_s=0.05)
    with pytest.raises(TimeoutError):
        await resolver("first.test", 80)
    with pytest.raises(TimeoutError):
        await resolver("second.test", 80)
    assert slow.asked.acquire(blocking=False)
    assert not slow.asked.acquire(blocking=False), "the second was begun beside the first"

    slow.answering.set()

    patient = NameResolver(max_lookups=1)
    assert await patient("third.test", 80) == ["127.0.0.1"]


async def test_fetch_from_a_host_whose_name_is_not_found_in_time_says_so(slow: SlowNames) -> None:
    limits = FetchLimits(resolve=NameResolver(timeout_s=0.05))

    with pytest.raises(Unavailable, match="cannot be found") as raised:
        await fetch("http://slow.test/", limits)

    assert raised.value.code == "host_not_found"


async def test_names_of_this_machine_are_found() -> None:
    assert "127.0.0.1" in await NameResolver()("127.0.0.1", 80)
    with pytest.raises((OSError, ValueError), match=r"too long|not known"):
        await NameResolver()("a" * 300, 80)
