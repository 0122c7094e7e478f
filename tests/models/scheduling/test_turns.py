"""Models that do not fit together take turns: batches, bounded waits, fairness between tenants."""

from __future__ import annotations

import pytest

from models.scheduling.eviction import MAX_TURN_S
from models.scheduling.queue import PRIORITY_S
from models.scheduling.scheduler import MAX_WAITING
from models.scheduling.slot import State
from tests.support.scheduling.harness import SchedulerHarness, spec

A, B = spec("a", 6), spec("b", 6)
LOAD_S = 10.0


@pytest.fixture
def world() -> SchedulerHarness:
    return SchedulerHarness(cap_bytes=10, total_bytes=12)


def begin(world: SchedulerHarness, model: object = A) -> int:
    """`model` loaded in ten seconds and in use."""
    ticket = world.ask(model)  # type: ignore[arg-type]
    world.pass_time(LOAD_S)
    world.finish_load(model.name)  # type: ignore[attr-defined]
    return ticket


def test_a_model_in_steady_use_serves_newcomers_for_its_turn_and_then_makes_way(
    world: SchedulerHarness,
) -> None:
    held = begin(world)
    other = world.ask(B)
    for _ in range(6):  # never idle for a moment
        new = world.ask(A)
        assert new in world.granted
        world.release(held)
        held = new
        world.pass_time(5)
    world.pass_time(MAX_TURN_S)
    assert world.emitted("preempted")[0]["to"] == "b"
    late = world.ask(A)
    assert late not in world.granted
    world.release(held)
    world.finish_unload("a")
    world.finish_load("b")
    assert other in world.granted


def test_earlier_requests_are_served_before_a_model_makes_way(world: SchedulerHarness) -> None:
    one = spec("a", 6, concurrency=1)
    held = begin(world, one)
    before = world.ask(one)
    other = world.ask(B)
    after = world.ask(one)
    world.pass_time(MAX_TURN_S + 1)
    world.release(held)
    assert before in world.granted
    assert after not in world.granted
    world.release(before)
    world.finish_unload("a")
    world.finish_load("b")
    assert other in world.granted
    assert after in world.waiting


def test_a_long_lease_lets_newcomers_share_the_model_that_it_keeps_loaded(
    world: SchedulerHarness,
) -> None:
    for _ in range(3):  # usual leases are short
        short = world.ask(A)
        if "a" in world.loading:
            world.finish_load("a")
        world.pass_time(1)
        world.release(short)
    long = world.ask(A)
    world.ask(B)
    world.pass_time(MAX_TURN_S + 1)
    late = world.ask(A)
    assert late not in world.granted
    wake_s = world.scheduler.next_wake_s()
    assert wake_s is not None
    world.pass_time(5)
    assert late in world.granted
    world.release(late)
    world.release(long)
    assert world.state("a") is State.STOPPING


def test_a_model_that_made_way_opens_again_when_the_other_gives_up(world: SchedulerHarness) -> None:
    held = begin(world)
    other = world.ask(B)
    world.pass_time(MAX_TURN_S + 1)
    assert world.state("a") is State.DRAINING
    late = world.ask(A)
    world.release(other)
    assert world.state("a") is State.READY
    assert {held, late} <= set(world.granted)


def test_a_pin_keeps_a_model_that_was_making_way(world: SchedulerHarness) -> None:
    begin(world)
    world.ask(B)
    world.pass_time(MAX_TURN_S + 1)
    world.obey(world.scheduler.set_pinned("a", True))
    assert world.state("a") is State.READY


def test_a_tenant_that_floods_does_not_hold_up_another(world: SchedulerHarness) -> None:
    one = spec("one", 6, concurrency=1)
    held = world.ask(one, tenant="flood")
    flood = [world.ask(one, tenant="flood") for _ in range(50)]
    world.finish_load("one")
    world.pass_time(1)
    quiet = world.ask(one, tenant="quiet")
    world.release(held)
    assert quiet in world.granted
    world.release(quiet)
    assert flood[0] in world.granted


def test_tenants_that_wait_alike_take_turns(world: SchedulerHarness) -> None:
    one = spec("one", 6, concurrency=1)
    first = world.ask(one)
    asked = {t: [world.ask(one, tenant=t) for _ in range(5)] for t in ("x", "y")}
    world.finish_load("one")
    order, held = [], first
    for _ in range(10):
        world.release(held)
        held = next(iter(world.granted))
        order.append("x" if held in asked["x"] else "y")
    assert order == ["x", "y"] * 5


def test_full_queue_sheds_the_last_request_of_the_tenant_that_fills_it(
    world: SchedulerHarness,
) -> None:
    flood = [world.ask(A, tenant="flood") for _ in range(MAX_WAITING)]
    quiet = world.ask(A, tenant="quiet")
    assert quiet in world.waiting
    assert world.refused[flood[-1]].code == "queue_full"


def test_priority_is_worth_a_bounded_time_of_waiting(world: SchedulerHarness) -> None:
    one = spec("one", 6, concurrency=1)
    held = world.ask(one)
    usual = world.ask(one, tenant="x")
    world.finish_load("one")
    world.pass_time(PRIORITY_S - 1)
    soon = world.ask(one, priority=1, tenant="y")
    world.pass_time(2)
    late = world.ask(one, priority=1, tenant="z")
    served = []
    while len(served) < 3:
        world.release(held)
        held = next(iter(world.granted))
        served.append(held)
    assert served == [soon, usual, late]


def test_waiters_are_notified_of_position_and_of_an_estimate_once_a_load_was_seen(
    world: SchedulerHarness,
) -> None:
    first = begin(world)
    world.pass_time(7)
    world.release(first)
    world.pass_time(60)
    world.finish_unload("a")
    busy = begin(world, B)
    world.ask(A)
    second = world.ask(A)
    news = world.notices[second][0]
    assert (news["verdict"], news["models"], news["position"]) == ("waits", ["b"], 2)
    assert news["estimate_s"] == LOAD_S
    assert busy in world.granted


def test_estimate_of_a_wait_for_an_overdue_lease_is_not_negative(
    world: SchedulerHarness,
) -> None:
    world.release(begin(world))
    world.pass_time(60)
    world.finish_unload("a")
    begin(world, B)
    world.pass_time(1000)

    waiting = world.ask(A)

    assert world.notices[waiting][0]["estimate_s"] == LOAD_S


def test_waiter_for_a_model_at_its_concurrency_is_notified_of_it(world: SchedulerHarness) -> None:
    begin(world, spec("one", 6, concurrency=1))
    ticket = world.ask(spec("one", 6, concurrency=1))
    news = world.notices[ticket][0]
    assert (news["phase"], news["models"], news["position"]) == ("queued", ["one"], 1)


def test_a_request_at_the_moment_of_an_idle_unload_gets_the_model_loaded_anew(
    world: SchedulerHarness,
) -> None:
    world.release(begin(world))
    world.pass_time(60)
    assert world.state("a") is State.STOPPING
    ticket = world.ask(A)
    world.finish_unload("a")
    world.finish_load("a")
    assert ticket in world.granted
