"""A device that runs full, and models that run out of memory."""

from __future__ import annotations

import pytest

from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.pressure import FULL, READ_EVERY_S, RESTED_S
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import State
from tests.support.scheduling.harness import SchedulerHarness, spec


@pytest.fixture
def world() -> SchedulerHarness:
    return SchedulerHarness(cap_bytes=100, total_bytes=100)


def idle(world: SchedulerHarness, name: str, size: int) -> None:
    world.release(world.ask(spec(name, size, keep_alive_s=-1)))
    world.finish_load(name)
    world.pass_time(RESTED_S + 1)


def test_device_above_the_high_mark_unloads_idle_models_one_at_a_time(
    world: SchedulerHarness,
) -> None:
    for name in ("a", "b", "c"):
        idle(world, name, 20)
    world.foreign_bytes = 30  # 90 %
    world.pass_time(READ_EVERY_S)
    assert len(world.stopping) == 1
    world.pass_time(READ_EVERY_S)
    assert len(world.stopping) == 1
    world.finish_unload(next(iter(world.stopping)))
    world.pass_time(READ_EVERY_S)
    assert not world.stopping  # 70 %
    assert world.emitted("pressure")[0]["device"] == "ram"


def test_device_once_above_the_high_mark_unloads_down_to_the_low_one(
    world: SchedulerHarness,
) -> None:
    for name in ("a", "b", "c", "d"):
        idle(world, name, 10)
    world.foreign_bytes = 48  # 88 %
    for _ in range(4):
        world.pass_time(READ_EVERY_S)
        for name in list(world.stopping):
            world.finish_unload(name)
    assert sorted(world.resident.values(), key=str) == [{"ram": 10}] * 2  # 68 %


def test_incurable_pressure_unloads_nothing_and_is_published_once(
    world: SchedulerHarness,
) -> None:
    idle(world, "a", 10)
    world.foreign_bytes = 89
    for _ in range(5):
        world.pass_time(READ_EVERY_S)
    assert world.state("a") is State.READY
    assert [told["unloads"] for told in world.emitted("pressure")] == [[]]


def test_models_in_use_or_pinned_stay_under_pressure(world: SchedulerHarness) -> None:
    idle(world, "idle", 5)
    world.ask(spec("used", 30))
    world.finish_load("used")
    idle(world, "pinned", 30)
    world.obey(world.scheduler.set_pinned("pinned", True))
    world.foreign_bytes = 22
    world.pass_time(RESTED_S)
    assert list(world.stopping) == ["idle"]


def test_model_used_a_moment_ago_is_spared_until_the_device_is_full(
    world: SchedulerHarness,
) -> None:
    idle(world, "a", 30)
    world.release(world.ask(spec("a", 30, keep_alive_s=-1)))
    world.foreign_bytes = 60  # 90 %
    world.pass_time(READ_EVERY_S)
    assert not world.stopping
    world.foreign_bytes = int(100 * FULL) - 30 + 1
    world.pass_time(READ_EVERY_S)
    assert list(world.stopping) == ["a"]


def test_an_old_reading_unloads_nothing(world: SchedulerHarness) -> None:
    for name in ("a", "b"):
        idle(world, name, 30)
    world.foreign_bytes, world.problem = 35, "the driver does not answer"
    world.pass_time(READ_EVERY_S)
    assert not world.stopping
    world.problem = ""
    world.pass_time(READ_EVERY_S)
    assert world.stopping


def test_devices_are_read_only_while_something_is_loaded(world: SchedulerHarness) -> None:
    assert world.scheduler.next_wake_s() is None
    idle(world, "a", 10)
    world.pass_time(READ_EVERY_S)
    assert world.scheduler.next_wake_s() == world.now_s + READ_EVERY_S
    world.obey(world.scheduler.drain("a"))
    world.finish_unload("a")
    assert world.scheduler.next_wake_s() is None


def test_model_that_grows_over_the_cap_has_idle_ones_unloaded() -> None:
    world = SchedulerHarness(cap_bytes=50, total_bytes=100)
    idle(world, "idle", 20)
    world.ask(spec("grows", 20))
    world.finish_load("grows")
    world.resident["grows"] = {"ram": 40}
    world.scheduler.report_memory("grows", world.generation["grows"], {"ram": 40})
    assert world.reserved() == 60
    world.pass_time(READ_EVERY_S)
    assert list(world.stopping) == ["idle"]


def test_load_out_of_memory_is_tried_once_more_with_more_room(
    world: SchedulerHarness,
) -> None:
    idle(world, "idle", 20)
    ticket = world.ask(spec("big", 80))
    world.fail_load("big", "out_of_memory")
    assert list(world.stopping) == ["idle"]
    world.finish_unload("idle")
    assert world.loading["big"].need.memory == {"ram": 100}
    world.finish_load("big")
    assert ticket in world.granted


def test_load_out_of_memory_twice_fails_with_its_own_error(
    world: SchedulerHarness,
) -> None:
    ticket = world.ask(spec("big", 40))
    world.fail_load("big", "out_of_memory")
    assert world.loading["big"].need.memory == {"ram": 50}
    world.fail_load("big", "out_of_memory")
    assert world.refused[ticket].code == "out_of_memory"
    assert world.state("big") is State.FAILED


def test_model_out_of_memory_in_use_has_idle_ones_unloaded_and_counts_more() -> None:
    estimates = MemoryEstimates()
    world = SchedulerHarness(
        cap_bytes=100, total_bytes=100, devices={"cuda:0": 50}, estimates=estimates
    )
    idle(world, "idle", 20)
    world.ask(spec("big", 40))
    world.finish_load("big", memory_bytes=40)
    world.run_out("big")
    assert list(world.stopping) == ["idle"]
    assert world.reserved() == 50 + 20
    assert world.scheduler.slots["big"].load.need.memory == {"ram": 50}
    assert world.emitted("out_of_memory")[0]["phase"] == "running"


def test_model_over_two_devices_out_of_memory_has_both_freed() -> None:
    world = SchedulerHarness(cap_bytes=100, total_bytes=100, devices={"cuda:0": 50, "cuda:1": 50})
    for name, device in (("one", "cuda:0"), ("two", "cuda:1"), ("beside", "ram")):
        world.release(world.ask(spec(name), needs=[MemoryRequirement({device: 10}, device)]))
        world.finish_load(name)
    world.ask(
        spec("big"), needs=[MemoryRequirement({"cuda:0": 20, "cuda:1": 20, "ram": 1}, "cuda:0")]
    )
    world.finish_load("big")
    world.run_out("big")
    assert set(world.stopping) == {"one", "two"}
