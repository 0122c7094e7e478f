"""Tenants take turns at what serves a bounded number at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from config.turns import FairSemaphore

BOUND_S = 120


async def served_in_order(tenants: str, leaving: frozenset[int] = frozenset()) -> str:
    """Let holders come in this order while the lock is held; return in which they got it."""
    lock, order = FairSemaphore(1), []

    async def hold(tenant: str) -> None:
        async with lock.hold(tenant):
            order.append(tenant)
            await asyncio.sleep(0)

    async with asyncio.timeout(BOUND_S):
        async with lock.hold("first"):
            waiting = []
            for tenant in tenants:
                waiting.append(asyncio.create_task(hold(tenant)))
                await asyncio.sleep(0)
            for number in leaving:
                waiting[number].cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*waiting, return_exceptions=True)
        async with lock.hold("last"):
            return "".join(order)


async def test_tenant_that_hands_in_much_waits_behind_one_that_hands_in_little() -> None:
    assert await served_in_order("aaaaab") == "abaaaa"


async def test_tenants_alternate_and_each_keeps_its_order() -> None:
    assert await served_in_order("aaabbbc") == "abcabab"


async def test_turn_of_one_who_left_goes_to_the_next() -> None:
    assert await served_in_order("aab", frozenset({0})) == "ba"
    assert await served_in_order("ab", frozenset({0, 1})) == ""


async def test_one_who_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    lock = FairSemaphore(1)
    entered = asyncio.Event()

    async def hold(tenant: str) -> None:
        async with lock.hold(tenant):
            entered.set()

    async with asyncio.timeout(BOUND_S):
        async with lock.hold("first"):
            given_up = asyncio.create_task(hold("a"))
            next_one = asyncio.create_task(hold("b"))
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await next_one

    assert given_up.cancelled()
    assert entered.is_set()


async def test_tenant_that_holds_all_it_may_leaves_the_rest_to_others() -> None:
    semaphore, leaving, order = FairSemaphore(3, per_tenant=2), asyncio.Event(), []

    async def hold(name: str) -> None:
        async with semaphore.hold(name[0]):
            order.append(name)
            await leaving.wait()

    async with asyncio.timeout(BOUND_S), asyncio.TaskGroup() as group:
        for name in ("a1", "a2", "a3", "b1", "a4", "b2"):
            group.create_task(hold(name))
        await asyncio.sleep(0)
        served_at_once = list(order)
        leaving.set()

    assert served_at_once == ["a1", "a2", "b1"]
    assert order[3:] == ["a3", "b2", "a4"]
    assert not semaphore.must_wait("a")


@pytest.mark.parametrize("seed", range(20))
async def test_no_turn_is_lost_and_no_bound_broken_whoever_gives_up(seed: int) -> None:
    chance = random.Random(seed)
    semaphore, held = FairSemaphore(3, per_tenant=2), Counter[str]()

    async def hold(tenant: str) -> None:
        async with semaphore.hold(tenant):
            held[tenant] += 1
            assert held.total() <= 3
            assert held[tenant] <= 2
            try:
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
            finally:
                held[tenant] -= 1

    async with asyncio.timeout(BOUND_S):
        tasks = [asyncio.create_task(hold(chance.choice("abc"))) for _ in range(60)]
        for task in chance.sample(tasks, 30):
            await asyncio.sleep(0)
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for tenant in "abc":
            async with semaphore.hold(tenant), semaphore.hold(tenant):
                assert semaphore.must_wait(tenant)

    assert {type(end) for end in ends} <= {type(None), asyncio.CancelledError}


async def test_those_of_no_tenant_are_served_in_turn_too() -> None:
    turns = FairSemaphore(1)
    served: list[str] = []

    async def take(name: str) -> None:
        async with turns.hold(""):
            await asyncio.sleep(0)
            served.append(name)

    async with asyncio.timeout(240):
        await asyncio.gather(*[take(name) for name in "abc"])

    assert served == ["a", "b", "c"]
