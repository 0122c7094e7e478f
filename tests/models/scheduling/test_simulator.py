"""The simulator, and what the scheduler is worth by it."""

from __future__ import annotations

import pytest

from benchmarks.simulator.machine import Machine
from benchmarks.simulator.optimum import fewest_swaps
from benchmarks.simulator.policies import POLICIES, Lru, Motet
from benchmarks.simulator.table import ALLOWED, HALF, replay
from benchmarks.simulator.traces import Model, Request, Trace, all_traces

TRACES = {trace.name: trace for trace in all_traces(seed=1)}
TWO = {"a": Model(6, 2.0), "b": Model(6, 2.0)}


def trace(models: dict[str, Model], order: str, every_s: float = 1.0) -> Trace:
    requests = [Request(number * every_s, name, 0.1) for number, name in enumerate(order)]
    return Trace("small", 10, models, tuple(requests))


def test_traces_are_the_same_each_time() -> None:
    assert all_traces(3) == all_traces(3)
    assert all_traces(3) != all_traces(4)


def test_the_fewest_swaps_in_order_are_found_exactly() -> None:
    assert fewest_swaps(trace(TWO, "abab")) == 2
    assert fewest_swaps(trace(TWO, "aabb")) == 0
    three = {name: Model(5, 2.0) for name in "abc"}  # two of three fit
    assert fewest_swaps(trace(three, "abcab")) == 1
    assert fewest_swaps(trace(three, "abcabcabc")) == 3


def test_lru_swaps_two_alternating_models_each_time() -> None:
    machine = Machine(trace(TWO, "abab", every_s=100.0), Lru)
    machine.run()
    assert machine.swaps == 2
    assert machine.waits[0] == pytest.approx(2.0)
    assert machine.waits[1] == pytest.approx(2.3)  # the other is unloaded first


def test_requests_that_wait_together_are_served_together() -> None:
    crowd = trace({name: Model(6, 2.0) for name in "abc"}, "abcabcabcabc", every_s=0.01)
    machine = Machine(crowd, Motet)
    machine.run()
    assert machine.swaps == 0


@pytest.mark.parametrize("name", ["crowds, three models", "five models"])
def test_crowds_for_several_models_cost_at_most_half_the_swaps_of_other_policies(name: str) -> None:
    ours, *others = (replay([TRACES[name]], policy) for policy in POLICIES)
    assert all(ours.swaps <= HALF * other.swaps for other in others)
    assert all(ours.p99_s <= ALLOWED * other.p99_s for other in others)


@pytest.mark.parametrize(
    "name", ["two models, crowded", "a long job before short ones", "ten models, Zipf"]
)
def test_other_traces_cost_no_more_swaps_and_no_longer_p99_waits(name: str) -> None:
    ours, *others = (replay([TRACES[name]], policy) for policy in POLICIES)
    assert all(ours.swaps <= ALLOWED * other.swaps for other in others)
    assert all(ours.p99_s <= ALLOWED * other.p99_s for other in others)


def test_tenant_beside_a_flooding_one_waits_less_than_half_as_long() -> None:
    ours, *others = (replay([TRACES["one tenant floods"]], policy) for policy in POLICIES)
    assert all(ours.p99_s <= HALF * other.p99_s for other in others)


def test_when_others_take_memory_fewer_models_are_killed() -> None:
    ours, *others = (replay([TRACES["others take memory"]], policy) for policy in POLICIES)
    assert all(ours.killed <= HALF * other.killed for other in others)
