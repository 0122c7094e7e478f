"""What a request and a lease cost grows neither with who waits nor with what is loaded."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from models.scheduling.queue import SlotQueue, Waiter
from models.scheduling.scheduler import MAX_WAITING
from models.scheduling.wake_times import SPARE_ENTRIES, WakeTimes
from tests.support.scheduling.harness import SchedulerHarness, spec

ONE = spec("one", concurrency=1)
LARGE = 10**6


@dataclass
class Work:
    """How many functions of ours were called, and how many numbers were compared."""

    calls: int = 0
    comparisons: int = 0


class Seconds(float):
    """A time that counts how often one like it is compared."""

    work = Work()

    def __add__(self, other: float) -> Seconds:
        return Seconds(float(self) + other)

    __radd__ = __add__

    def __sub__(self, other: float) -> Seconds:
        return Seconds(float(self) - other)

    def __lt__(self, other: float) -> bool:
        Seconds.work.comparisons += 1
        return float(self) < float(other)

    def __eq__(self, other: object) -> bool:
        Seconds.work.comparisons += 1
        return isinstance(other, float) and float(self) == float(other)

    __hash__ = float.__hash__


@contextmanager
def counting() -> Iterator[Work]:
    work = Seconds.work = Work()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        ours = frame.f_globals["__name__"].startswith("models.scheduling.")
        work.calls += event == "call" and ours

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield work
    finally:
        sys.setprofile(before)
        Seconds.work = Work()


def measure(act: Callable[[], object]) -> Work:
    with counting() as work:
        act()
    return work


def queue_for_one(waiting: int) -> tuple[SchedulerHarness, list[int]]:
    world = SchedulerHarness(cap_bytes=LARGE, total_bytes=LARGE)
    world.now_s = Seconds(1000.0)
    world.ask(ONE)
    world.finish_load("one")
    return world, [world.ask(ONE, tenant=f"tenant {number % 7}") for number in range(waiting)]


def load_models(count: int, memory_bytes: int = 1) -> SchedulerHarness:
    world = SchedulerHarness(cap_bytes=LARGE, total_bytes=LARGE)
    for number in range(count):
        model = spec(f"model {number}", memory_bytes)
        ticket = world.ask(model)
        world.finish_load(model.name)
        world.release(ticket)
    return world


def logarithmic(small: Work, large: Work, times: int) -> bool:
    """Tell whether `times` as many cost no more calls, and comparisons as a search does."""
    return large.calls <= small.calls and (
        large.comparisons <= small.comparisons + 8 * math.log2(times)
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda world, tickets: world.ask(ONE),
        lambda world, tickets: world.release(tickets[len(tickets) // 2]),
        lambda world, tickets: world.release(tickets[-1]),
        lambda world, tickets: world.release(next(iter(world.granted))),
    ],
    ids=["ask", "give-up-in-the-middle", "give-up-last", "end-the-lease"],
)
def test_a_request_costs_the_same_however_many_wait(act: Callable[[Any, Any], object]) -> None:
    few, many = (queue_for_one(waiting) for waiting in (30, 300))

    small, large = (measure(lambda each=each: act(*each)) for each in (few, many))

    assert logarithmic(small, large, 10), (small, large)


def test_a_request_too_many_costs_the_same_as_another() -> None:
    few, many = (queue_for_one(waiting)[0] for waiting in (30, MAX_WAITING))

    small, large = (measure(lambda each=each: each.ask(ONE)) for each in (few, many))

    assert many.refused
    assert large.calls <= small.calls + 20
    assert large.comparisons <= small.comparisons + 100


def test_news_for_all_who_wait_costs_each_of_them_a_search() -> None:
    def announce(waiting: int) -> Work:
        world = SchedulerHarness(cap_bytes=10, total_bytes=12)
        world.now_s = Seconds(1000.0)
        held = world.ask(spec("before", 10))
        world.finish_load("before")
        for _ in range(waiting):
            world.ask(spec("one", 10))
        world.release(held)
        world.pass_time(60)
        return measure(lambda: world.finish_unload("before"))

    small, large = announce(30), announce(300)

    assert large.calls <= 11 * small.calls
    assert large.comparisons <= 300 * 8 * math.log2(300)


@pytest.mark.parametrize("memory_bytes", [0, 1])
def test_a_lease_costs_the_same_however_many_models_are_loaded(memory_bytes: int) -> None:
    def lease(world: SchedulerHarness) -> None:
        world.release(world.ask(spec("model 1", memory_bytes)))
        world.scheduler.next_wake_s()

    few, many = load_models(3, memory_bytes), load_models(100, memory_bytes)

    assert measure(lambda: lease(many)).calls <= measure(lambda: lease(few)).calls


def test_a_full_queue_sheds_the_last_of_the_tenant_with_most() -> None:
    queue = SlotQueue()
    for ticket, tenant in enumerate(["a", "b", "b", "c", "b", "a"]):
        queue.add(Waiter(float(-ticket), ticket, 0.0, tenant))

    assert queue.waiter_to_shed().ticket == 1
    queue.remove(1)
    queue.remove(2)
    assert queue.waiter_to_shed().tenant == "a"
    assert queue.waiter_to_shed().ticket == 0


def test_moments_that_were_replaced_do_not_pile_up() -> None:
    wakes = WakeTimes()

    for number in range(1000):
        wakes.set("a", float(number))
        wakes.set("b", float(-number))
        wakes.set("c", float(number))
        wakes.set("c", None)

    assert len(wakes._heap) <= 2 * 2 + SPARE_ENTRIES
    assert wakes.pop_due(-999.0) == ["b"]
    assert wakes.next_s() == 999.0
