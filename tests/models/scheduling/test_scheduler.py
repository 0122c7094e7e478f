"""The scheduler, driven by hand."""

from __future__ import annotations

import pytest

from config.errors import Unavailable
from models.scheduling.backoff import MAX_CRASHES
from models.scheduling.pressure import READ_EVERY_S
from models.scheduling.scheduler import MAX_WAITING, PATIENCE_S
from models.scheduling.slot import State
from tests.support.scheduling.harness import SchedulerHarness, spec

A, B, C = spec("a", 6), spec("b", 6), spec("c", 3)


@pytest.fixture
def world() -> SchedulerHarness:
    return SchedulerHarness(cap_bytes=10, total_bytes=12)


def loaded(world: SchedulerHarness, model: object, *, idle_for_s: float = 100.0) -> None:
    """Load `model`, use it once, leave it idle long enough to be evicted."""
    ticket = world.ask(model)  # type: ignore[arg-type]
    world.finish_load(model.name)  # type: ignore[attr-defined]
    world.release(ticket)
    world.now_s += idle_for_s


def test_requests_for_one_model_share_one_load(world: SchedulerHarness) -> None:
    tickets = [world.ask(A) for _ in range(3)]
    assert list(world.loading) == ["a"]
    world.finish_load("a")
    assert list(world.granted) == tickets
    assert world.ask(A) in world.granted


def test_waiting_requests_are_notified_of_what_they_wait_for(world: SchedulerHarness) -> None:
    ticket = world.ask(A)
    late = world.ask(A)
    assert world.notices[ticket] == [{"phase": "loading", "position": 1}]
    assert world.notices[late] == [{"phase": "loading", "position": 2}]
    world.finish_load("a")
    blocked = world.ask(B)
    assert world.notices[blocked] == [
        {
            "phase": "queued",
            "verdict": "waits",
            "models": ["a"],
            "device": "cpu",
            "need_bytes": {"ram": 6},
            "free_bytes": {"ram": 4},
            "position": 1,
        }
    ]


def test_a_leased_model_is_never_evicted(world: SchedulerHarness) -> None:
    ticket = world.ask(A)
    world.finish_load("a")
    blocked = world.ask(B)
    world.pass_time(1000)
    assert (world.state("a"), world.state("b")) == (State.DRAINING, State.QUEUED)
    world.release(ticket)
    assert world.state("a") is State.STOPPING
    world.finish_unload("a")
    world.finish_load("b")
    assert blocked in world.granted


def test_an_idle_model_makes_room_and_is_loaded_again_when_asked_for(
    world: SchedulerHarness,
) -> None:
    loaded(world, A, idle_for_s=10)
    second = world.ask(B)
    assert list(world.stopping) == ["a"]
    third = world.ask(A)
    assert not world.loading
    world.finish_unload("a")
    world.finish_load("b")
    assert second in world.granted
    world.pass_time(10)
    world.release(second)
    world.finish_unload("b")
    world.finish_load("a")
    assert third in world.granted


def test_small_load_passes_a_waiting_large_one_within_patience(world: SchedulerHarness) -> None:
    """Until PATIENCE_S a queued model does not keep its room."""
    world.ask(A)
    world.pass_time(20)
    world.finish_load("a")
    world.ask(spec("large", 7))

    world.ask(C)

    assert world.state("large") is State.QUEUED
    assert world.state("c") is State.LOADING


def test_small_load_waits_for_a_large_one_that_has_lost_patience(world: SchedulerHarness) -> None:
    world.ask(A)
    world.pass_time(20)
    world.finish_load("a")
    world.ask(spec("large", 7))
    world.pass_time(PATIENCE_S + 1)

    world.ask(C)
    world.ask(spec("remote", 0))

    assert world.state("c") is State.QUEUED
    assert world.state("remote") is State.LOADING


def test_large_load_stays_queued_while_small_ones_hold_its_room(world: SchedulerHarness) -> None:
    first = world.ask(A)
    world.pass_time(20)
    world.finish_load("a")
    world.ask(spec("large", 7))
    second = world.ask(C)
    world.finish_load("c")
    third = world.ask(spec("d", 1))
    world.finish_load("d")
    world.pass_time(PATIENCE_S + 1)

    for ticket in (first, second, third):
        world.release(ticket)

    assert world.state("large") is State.QUEUED
    assert "large" not in world.loading


def test_memory_being_freed_is_kept_for_the_model_it_is_freed_for(world: SchedulerHarness) -> None:
    loaded(world, A, idle_for_s=10)
    world.ask(spec("big", 9))
    assert list(world.stopping) == ["a"]
    world.ask(C)
    assert world.state("c") is State.QUEUED
    world.finish_unload("a")
    assert list(world.loading) == ["big"]


def test_more_than_the_cap_is_refused_for_good_with_the_numbers(world: SchedulerHarness) -> None:
    ticket = world.ask(spec("huge", 11))
    error = world.refused[ticket]
    assert (error.code, error.permanent) == ("insufficient_memory", True)
    assert (error.details["need_bytes"], error.details["cap_bytes"]) == (11, 10)
    assert not world.scheduler.slots


def test_memory_taken_by_others_refuses_for_now_and_evicts_nothing(world: SchedulerHarness) -> None:
    loaded(world, C, idle_for_s=10)
    world.foreign_bytes = 8
    ticket = world.ask(A)
    assert world.refused[ticket].code == "insufficient_memory"
    assert not world.refused[ticket].permanent
    assert world.state("c") is State.READY


def test_a_failed_load_refuses_everyone_then_backs_off(world: SchedulerHarness) -> None:
    tickets = [world.ask(A), world.ask(A)]
    world.fail_load("a")
    assert set(tickets) == set(world.refused)
    early = world.ask(A)
    assert isinstance(world.refused[early], Unavailable)
    assert world.refused[early].retry_after_s == pytest.approx(1.0)
    assert world.scheduler.current_refusal("a")
    world.pass_time(1.0)
    assert world.scheduler.current_refusal("a") is None
    world.ask(A)
    world.fail_load("a")
    assert world.refused[world.ask(A)].retry_after_s == pytest.approx(5.0)
    world.pass_time(5.0)
    world.ask(A)
    world.fail_load("a")
    assert world.refused[world.ask(A)].retry_after_s == pytest.approx(60.0)
    assert world.emitted("load_failed")[-1]["failures"] == 3
    world.pass_time(60.0)
    world.ask(A)
    world.finish_load("a")
    assert world.state("a") is State.READY


def test_an_idle_model_goes_when_its_keep_alive_ends(world: SchedulerHarness) -> None:
    ticket = world.ask(A)
    world.finish_load("a")
    world.pass_time(1000)
    assert world.state("a") is State.READY
    world.release(ticket)
    assert world.scheduler.next_wake_s() == world.now_s + READ_EVERY_S
    world.pass_time(59)
    assert world.scheduler.next_wake_s() == world.now_s + 1
    world.pass_time(1)
    assert world.state("a") is State.STOPPING
    world.finish_unload("a")
    assert world.scheduler.balances()[0].reserved_bytes == 0
    assert not world.scheduler.slots


def test_keep_alive_may_be_nothing_or_for_ever(world: SchedulerHarness) -> None:
    ticket = world.ask(spec("once", keep_alive_s=0))
    world.finish_load("once")
    world.release(ticket)
    assert world.state("once") is State.STOPPING
    loaded(world, spec("kept", keep_alive_s=-1))
    world.pass_time(1e6)
    assert world.state("kept") is State.READY


def test_a_pinned_model_is_not_evicted(world: SchedulerHarness) -> None:
    loaded(world, spec("pinned", 6, pin=True), idle_for_s=10)
    assert world.refused[world.ask(B)].code == "insufficient_memory"


def test_model_that_takes_no_memory_here_always_loads(world: SchedulerHarness) -> None:
    world.foreign_bytes = 12
    world.ask(spec("remote", 0))
    world.finish_load("remote", 0)
    assert world.granted


def test_the_measurement_replaces_the_estimate_now_and_next_time(world: SchedulerHarness) -> None:
    world.ask(C)
    world.finish_load("c", memory_bytes=8)
    assert world.scheduler.balances()[0].reserved_bytes == 8
    world.release(1)
    world.pass_time(60)
    world.finish_unload("c")
    world.ask(C)
    assert world.scheduler.slots["c"].load.need.memory_bytes == 8


def test_crashed_model_is_loaded_again_and_its_old_leases_do_not_count(
    world: SchedulerHarness,
) -> None:
    old = world.ask(A)
    world.finish_load("a")
    world.lose("a")
    assert world.state("a") is State.ABSENT
    new = world.ask(A)
    world.finish_load("a")
    world.release(old)
    assert new in world.granted
    assert world.scheduler.slots["a"].load.leases.keys() == {new}


def test_model_that_crashes_after_each_load_is_refused_for_a_while(
    world: SchedulerHarness,
) -> None:
    for _ in range(MAX_CRASHES):
        world.ask(A)
        world.finish_load("a")
        world.lose("a")
        assert world.state("a") is State.ABSENT
    waits = world.ask(A)
    world.finish_load("a")
    world.ask(A)
    world.obey(world.scheduler.drain("a"))
    late = world.ask(A)
    world.lose("a")
    assert world.refused[late].code == "model_crash_loop"
    assert waits not in world.refused
    assert world.emitted("load_failed")[-1]["retry_after_s"] == 60.0
    assert world.refused[world.ask(A)].retry_after_s == pytest.approx(60.0)
    world.pass_time(60.0)
    world.ask(A)
    assert world.state("a") is State.LOADING


def test_crash_after_a_finished_lease_counts_as_the_first(world: SchedulerHarness) -> None:
    for _ in range(3 * MAX_CRASHES):
        ticket = world.ask(A)
        world.finish_load("a")
        world.pass_time(1.0)
        world.release(ticket)
        world.pass_time(1.0)
        world.lose("a")
    assert not world.refused


def test_report_about_an_older_load_changes_nothing(world: SchedulerHarness) -> None:
    world.ask(A)
    world.finish_load("a")
    old = world.generation["a"]
    world.lose("a")
    world.ask(A)
    world.finish_load("a")
    world.obey(world.scheduler.report_crashed("a", old))
    world.obey(world.scheduler.report_unloaded("a", old))
    world.obey(world.scheduler.report_load_failed("a", old, Unavailable("late")))
    assert world.state("a") is State.READY


def test_draining_takes_no_new_lease_and_stops_after_the_last(world: SchedulerHarness) -> None:
    first = world.ask(A)
    world.finish_load("a")
    world.obey(world.scheduler.drain("a"))
    second = world.ask(A)
    assert (world.state("a"), second in world.granted) == (State.DRAINING, False)
    world.release(first)
    world.finish_unload("a")
    world.finish_load("a")
    assert second in world.granted


def test_concurrency_bounds_leases_and_higher_priority_is_served_first(
    world: SchedulerHarness,
) -> None:
    one = spec("one", 6, concurrency=1)
    first, low, high = world.ask(one), world.ask(one), world.ask(one, priority=5)
    world.finish_load("one")
    assert set(world.granted) == {first} or set(world.granted) == {high}
    assert high in world.granted
    world.release(high)
    assert first in world.granted
    world.release(first)
    assert low in world.granted


def test_a_request_given_up_while_loading_leaves_a_model_ready_for_the_next(
    world: SchedulerHarness,
) -> None:
    ticket = world.ask(A)
    world.release(ticket)
    world.finish_load("a")
    assert not world.granted
    world.pass_time(60)
    assert world.state("a") is State.STOPPING


def test_too_many_waiting_requests_are_refused(world: SchedulerHarness) -> None:
    for _ in range(MAX_WAITING):
        world.ask(A)
    assert world.refused[world.ask(A)].code == "queue_full"


def test_closing_refuses_who_waits(world: SchedulerHarness) -> None:
    ticket = world.ask(A)
    world.obey(world.scheduler.close(Unavailable("stopping")))
    assert world.refused[ticket].message == "stopping"
