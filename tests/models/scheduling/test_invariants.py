"""The scheduler's invariants under any order of events; the harness asserts them at each effect.

Hypothesis shrinks what fails on one device; seeded histories go through far more steps on several.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.scheduling.harness import SchedulerHarness, spec
from tests.support.scheduling.random_history import RandomHistory, check_bookkeeping
from tests.support.scheduling.running_time import SimulatedTraffic

MODELS = [
    spec("remote", 0),
    spec("small", 2),
    spec("single", 3, concurrency=1, keep_alive_s=0),
    spec("middle", 4, priority=2),
    spec("large", 7),
    spec("pinned", 3, pin=True, keep_alive_s=-1),
    spec("huge", 11),
]


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = SchedulerHarness(cap_bytes=10, total_bytes=12)

    @rule(model=st.sampled_from(MODELS), priority=st.integers(0, 2))
    def ask(self, model, priority):
        self.world.ask(model, priority)

    @precondition(lambda self: self.world.granted)
    @rule(data=st.data())
    def release(self, data):
        self.world.release(data.draw(st.sampled_from(sorted(self.world.granted))))

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data())
    def give_up(self, data):
        self.world.release(data.draw(st.sampled_from(sorted(self.world.waiting))))

    @precondition(lambda self: self.world.loading)
    @rule(data=st.data(), extra_bytes=st.sampled_from([None, -1, 0, 0, 0]))
    def finish_load(self, data, extra_bytes):
        name = data.draw(st.sampled_from(sorted(self.world.loading)))
        need = self.world.loading[name].spec.memory_bytes
        measured = None if extra_bytes is None else max(0, need + extra_bytes)
        self.world.finish_load(name, measured)

    @precondition(lambda self: self.world.loading)
    @rule(data=st.data())
    def fail_load(self, data):
        self.world.fail_load(data.draw(st.sampled_from(sorted(self.world.loading))))

    @precondition(lambda self: self.world.stopping)
    @rule(data=st.data())
    def finish_unload(self, data):
        self.world.finish_unload(data.draw(st.sampled_from(sorted(self.world.stopping))))

    @precondition(lambda self: set(self.world.resident) - set(self.world.stopping))
    @rule(data=st.data())
    def lose(self, data):
        alive = sorted(set(self.world.resident) - set(self.world.stopping))
        self.world.lose(data.draw(st.sampled_from(alive)))

    @rule(seconds=st.sampled_from([0.5, 5.0, 31.0, 60.0]))
    def pass_time(self, seconds):
        self.world.pass_time(seconds)

    @rule(foreign_bytes=st.sampled_from([0, 0, 4, 12]))
    def others_take_memory(self, foreign_bytes):
        self.world.foreign_bytes = foreign_bytes

    @rule(model=st.sampled_from(MODELS))
    def drain(self, model):
        self.world.obey(self.world.scheduler.drain(model.name))

    @invariant()
    def the_books_agree(self):
        check_bookkeeping(self.world)

    def teardown(self):
        """When everyone gives back, every request ends in a grant or a refusal."""
        world = self.world
        world.foreign_bytes = 0
        for _ in range(200):
            for ticket in list(world.granted):
                world.release(ticket)
            for name in list(world.loading):
                world.finish_load(name)
            for name in list(world.stopping):
                world.finish_unload(name)
            world.pass_time(6.0)
            if not world.waiting:
                break
        assert not world.waiting, world.scheduler.slots


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_events_on_several_devices_keeps_invariants_and_ends_every_wait(
    seed: int,
) -> None:
    for history in range(10):
        chaos = RandomHistory(seed * 10 + history)
        for _ in range(500):
            chaos.step()
        chaos.end()


@pytest.mark.parametrize(("rate", "overtaken_s"), [(0.05, 100.0), (0.2, 150.0), (0.5, 300.0)])
@pytest.mark.parametrize("seed", range(3))
def test_request_is_overtaken_by_later_ranks_for_a_bounded_time(
    seed: int, rate: float, overtaken_s: float
) -> None:
    live = SimulatedTraffic(seed, rate)
    live.run(1000.0)
    assert live.overtaken_s < overtaken_s
    assert not live.world.refused
