"""Where a model is loaded on a machine with several devices, and what goes for it."""

from __future__ import annotations

from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import State
from tests.support.scheduling.harness import SchedulerHarness, spec

GPUS = {"cuda:0": 10, "cuda:1": 6}


def world() -> SchedulerHarness:
    return SchedulerHarness(cap_bytes=20, total_bytes=24, devices=GPUS)


def places(size: int, *, cpu: bool = True) -> list[MemoryRequirement]:
    found = [MemoryRequirement({gpu: size, "ram": 1}, gpu) for gpu in GPUS]
    return [*found, MemoryRequirement({"ram": size})] if cpu else found


def load(
    world: SchedulerHarness, name: str, needs: list[MemoryRequirement], *, keep: bool = False
) -> int:
    """Load it; idle for a while afterwards unless it is kept in use."""
    ticket = world.ask(spec(name), needs=needs)
    world.finish_load(name)
    if not keep:
        world.release(ticket)
    world.pass_time(20)
    return ticket


def device_of(world: SchedulerHarness, name: str) -> str:
    return world.scheduler.slots[name].load.need.device


def test_accelerator_with_room_is_taken_before_one_that_needs_an_eviction() -> None:
    gpus = world()
    load(gpus, "first", places(6))
    assert device_of(gpus, "first") == "cuda:0"
    gpus.ask(spec("second"), needs=places(6))
    assert (device_of(gpus, "second"), gpus.state("first")) == ("cuda:1", State.READY)


def test_accelerator_with_the_cheapest_eviction_is_taken_when_none_has_room() -> None:
    gpus = world()
    dear = load(gpus, "dear", places(9))
    for _ in range(5):  # much used, so that losing it costs more
        gpus.release(gpus.ask(spec("dear")))
    load(gpus, "cheap", places(6))
    gpus.ask(spec("new"), needs=places(6))
    assert (list(gpus.stopping), device_of(gpus, "new")) == (["cheap"], "cuda:1")
    assert dear not in gpus.granted


def test_the_cpu_serves_what_no_accelerator_can_ever_hold() -> None:
    gpus = world()
    gpus.ask(spec("large"), needs=places(12))
    assert gpus.loading["large"].need.device == "cpu"


def test_a_busy_accelerator_is_waited_for_rather_than_falling_back_to_the_cpu() -> None:
    gpus = world()
    first = load(gpus, "first", places(10), keep=True)
    load(gpus, "second", places(6), keep=True)
    waits = gpus.ask(spec("third"), needs=places(6))
    assert gpus.notices[waits][0]["verdict"] == "waits"
    assert not gpus.loading
    gpus.release(first)
    gpus.finish_unload("first")
    assert gpus.loading["third"].need.device == "cuda:0"


def test_cpu_serves_while_others_hold_the_memory_of_every_accelerator() -> None:
    gpus = world()
    gpus.foreign["cuda:0"] = gpus.foreign["cuda:1"] = 6
    gpus.ask(spec("model"), needs=places(5))
    assert gpus.loading["model"].need.device == "cpu"


def test_model_without_cpu_fallback_is_refused_with_the_numbers_when_others_hold_the_memory() -> (
    None
):
    gpus = world()
    gpus.foreign["cuda:0"] = gpus.foreign["cuda:1"] = 6
    ticket = gpus.ask(spec("model"), needs=places(5, cpu=False))
    error = gpus.refused[ticket]
    assert (error.code, error.permanent) == ("insufficient_memory", False)
    assert error.details["device"] in GPUS
    assert "cannot be unloaded by Motet" in error.message


def test_a_device_that_this_machine_lacks_is_refused_for_good() -> None:
    gpus = world()
    ticket = gpus.ask(spec("model"), needs=[MemoryRequirement({"xpu:0": 4, "ram": 1}, "xpu:0")])
    assert gpus.refused[ticket].permanent
    assert gpus.refused[ticket].details["device"] == "xpu:0"


def test_a_model_over_two_devices_evicts_on_both_in_one_decision() -> None:
    gpus = world()
    for name, gpu in (("one", "cuda:0"), ("two", "cuda:1")):
        load(gpus, name, [MemoryRequirement({gpu: 5}, gpu)])
    gpus.ask(spec("split"), needs=[MemoryRequirement({"cuda:0": 8, "cuda:1": 4}, "cuda:0")])
    assert set(gpus.stopping) == {"one", "two"}
    gpus.finish_unload("one")
    assert not gpus.loading
    gpus.finish_unload("two")
    assert "split" in gpus.loading


def test_ram_beside_the_accelerator_is_counted_too() -> None:
    small = SchedulerHarness(cap_bytes=2, total_bytes=4, devices=GPUS)
    load(small, "first", [MemoryRequirement({"cuda:0": 1, "ram": 2}, "cuda:0")])
    small.ask(spec("second"), needs=[MemoryRequirement({"cuda:0": 1, "ram": 1}, "cuda:0")])
    assert list(small.stopping) == ["first"]


def test_two_names_for_one_file_take_its_memory_once_and_are_evicted_together() -> None:
    gpus = world()
    for name in ("name", "alias"):
        load(gpus, name, [MemoryRequirement({"cuda:0": 8}, "cuda:0", "blob")])
    assert gpus.reserved("cuda:0") == 8
    gpus.ask(spec("other"), needs=[MemoryRequirement({"cuda:0": 8}, "cuda:0")])
    assert set(gpus.stopping) == {"name", "alias"}


def test_a_measurement_counts_for_its_device_alone() -> None:
    gpus = world()
    gpus.ask(spec("model"), needs=places(4))
    gpus.finish_load("model", memory={"cuda:0": 7, "ram": 2})
    assert (gpus.reserved("cuda:0"), gpus.reserved("ram"), gpus.reserved("cuda:1")) == (7, 2, 0)


def test_model_that_may_fit_on_the_cpu_later_is_refused_for_now_only() -> None:
    gpus = world()
    gpus.foreign["ram"] = 24
    ticket = gpus.ask(spec("large"), needs=places(12))
    assert not gpus.refused[ticket].permanent
    assert gpus.refused[ticket].details["device"] == "ram"
