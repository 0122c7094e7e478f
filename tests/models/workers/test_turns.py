"""Tenants take turns at what serves one at a time."""

from __future__ import annotations

import asyncio

from models.workers.turns import FairLock

BOUND_S = 10


async def served_in_order(tenants: str, leaving: frozenset[int] = frozenset()) -> str:
    """Let holders come in this order while the lock is held; return in which they got it."""
    lock, order = FairLock(), []

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
    lock = FairLock()
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
