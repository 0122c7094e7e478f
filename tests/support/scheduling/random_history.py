"""Random schedules over several devices: all that can happen to a scheduler, in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from models.catalog.spec import ModelSpec
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.slot import LOADED, PRESENT, State
from tests.support.scheduling.harness import SchedulerHarness, spec

GPUS = ("cuda:0", "cuda:1")
TENANTS = ("default", "flood", "other")


def on_gpus(device_bytes: int, cpu_bytes: int | None, share: str = "") -> list[MemoryRequirement]:
    """Places on both GPUs, and on the CPU unless that is not allowed."""
    places = [MemoryRequirement({gpu: device_bytes, "ram": 1}, gpu, share) for gpu in GPUS]
    return (
        places
        if cpu_bytes is None
        else [*places, MemoryRequirement({"ram": cpu_bytes}, share=share)]
    )


MODELS: list[tuple[ModelSpec, Sequence[MemoryRequirement]]] = [
    (spec("remote", 0), [MemoryRequirement()]),
    (spec("small", 2), [MemoryRequirement({"ram": 2})]),
    (spec("single", 3, concurrency=1, keep_alive_s=0), [MemoryRequirement({"ram": 3})]),
    (spec("middle", 4, priority=2), on_gpus(4, 5)),
    (spec("large", 7), on_gpus(7, None)),
    (spec("split", 9), [MemoryRequirement({"cuda:0": 5, "cuda:1": 5, "ram": 1}, "cuda:0")]),
    (spec("twin-a", 4), on_gpus(4, 5, share="blob")),
    (spec("twin-b", 4, keep_alive_s=5), on_gpus(4, 5, share="blob")),
    (spec("pinned", 3, pin=True, keep_alive_s=-1), [MemoryRequirement({"ram": 3})]),
    (spec("busy", 6, concurrency=2), on_gpus(6, None)),
    (spec("huge", 11), on_gpus(11, 11)),
]
USUAL = [model for model in MODELS if model[0].name not in ("pinned", "huge")]


def new_harness() -> SchedulerHarness:
    return SchedulerHarness(cap_bytes=10, total_bytes=12, devices={"cuda:0": 10, "cuda:1": 8})


class RandomHistory:
    """One random history. `step` does something that may happen now, and checks the books."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = new_harness()
        self.doings = {
            self.ask: 10,
            self.release: 8,
            self.give_up: 2,
            self.finish_load: 8,
            self.fail_load: 1,
            self.finish_unload: 8,
            self.lose: 1,
            self.pass_time: 4,
            self.others_take_memory: 1,
            self.drain: 1,
            self.pin: 1,
            self.run_out: 1,
            self.grow: 1,
            self.ring: 3,
        }

    def step(self) -> None:
        doing = self.random.choices(list(self.doings), list(self.doings.values()))[0]
        doing()
        check_bookkeeping(self.world)

    def ask(self) -> None:
        model, needs = self.random.choice(MODELS)
        tenant = self.random.choice(TENANTS)
        for _ in range(self.random.choice([1, 1, 1, 8 if tenant == "flood" else 1])):
            self.world.ask(model, self.random.choice([0, 0, 0, 1, -1, 3]), tenant, needs)

    def release(self) -> None:
        if self.world.granted:
            self.world.release(self.random.choice(list(self.world.granted)))

    def give_up(self) -> None:
        if self.world.waiting:
            self.world.release(self.random.choice(list(self.world.waiting)))

    def finish_load(self) -> None:
        if self.world.loading:
            name = self.random.choice(list(self.world.loading))
            need = self.world.loading[name].need.memory
            extra = self.random.choice([None, -1, 0, 0, 0])
            memory = None if extra is None else {d: max(0, n + extra) for d, n in need.items()}
            self.world.finish_load(name, memory=memory)

    def fail_load(self) -> None:
        if self.world.loading:
            code = self.random.choice(["unavailable", "out_of_memory"])
            self.world.fail_load(self.random.choice(list(self.world.loading)), code)

    def finish_unload(self) -> None:
        if self.world.stopping:
            self.world.finish_unload(self.random.choice(list(self.world.stopping)))

    def alive(self) -> list[str]:
        return [name for name in self.world.resident if name not in self.world.stopping]

    def lose(self) -> None:
        if alive := self.alive():
            self.world.lose(self.random.choice(alive))

    def run_out(self) -> None:
        if alive := self.alive():
            self.world.run_out(self.random.choice(alive))

    def grow(self) -> None:
        """A loaded model takes more or less than it did."""
        if alive := self.alive():
            name = self.random.choice(alive)
            held = self.world.resident[name]
            memory = {d: max(0, n + self.random.choice([-1, 1])) for d, n in held.items()}
            self.world.resident[name] = memory
            self.world.scheduler.report_memory(name, self.world.generation[name], memory)

    def pass_time(self) -> None:
        self.world.pass_time(self.random.choice([0.0, 0.5, 5.0, 31.0, 60.0]))

    def ring(self) -> None:
        """The timer rings when it was set to."""
        wake_s = self.world.scheduler.next_wake_s()
        if wake_s is not None:
            self.world.pass_time(wake_s - self.world.now_s)

    def others_take_memory(self) -> None:
        device = self.random.choice(["ram", *GPUS])
        self.world.foreign[device] = self.random.choice([0, 0, 4, 12])

    def drain(self) -> None:
        self.world.obey(self.world.scheduler.drain(self.random.choice(MODELS)[0].name))

    def pin(self) -> None:
        name, pinned = self.random.choice(MODELS)[0].name, self.random.random() < 0.3
        self.world.obey(self.world.scheduler.set_pinned(name, pinned))

    def end(self) -> None:
        """When everyone gives back and nothing is broken, every request ends."""
        self.world.foreign.clear()
        for model, _ in MODELS:
            self.world.obey(self.world.scheduler.set_pinned(model.name, False))
        for _ in range(300):
            for ticket in list(self.world.granted):
                self.world.release(ticket)
            for name in list(self.world.loading):
                self.world.finish_load(name)
            for name in list(self.world.stopping):
                self.world.finish_unload(name)
            self.world.pass_time(6.0)
            if not self.world.waiting:
                return
        raise AssertionError(f"still waiting: {self.world.scheduler.slots}")


def check_bookkeeping(world: SchedulerHarness) -> None:
    """What the scheduler believes is what there is."""
    slots = world.scheduler.slots
    waiting = [waiter.ticket for slot in slots.values() for waiter in slot.queue.waiting]
    assert len(waiting) == len(world.waiting)
    assert set(waiting) == world.waiting
    leased = {ticket for slot in slots.values() for ticket in slot.load.leases}
    assert leased == {t for t, (name, _) in world.granted.items() if name != "lost"}
    for name, slot in slots.items():
        assert (slot.state is State.LOADING) == (name in world.loading)
        assert (slot.state is State.STOPPING) == (name in world.stopping)
        assert (slot.state in PRESENT) == (name in world.resident or name in world.loading)
        assert slot.queue.waiting == sorted(slot.queue.waiting)
        assert not (
            slot.queue.waiting and slot.state is State.READY and slot.can_grant(world.now_s)
        )
        if slot.state is State.QUEUED:
            assert slot.queue.waiting
        if slot.load.handover and slot.state in LOADED:
            assert slots[slot.load.handover.to].needs_load, "makes way for nobody"
    check_reservations(world)
    check_nothing_is_overlooked(world)


def check_nothing_is_overlooked(world: SchedulerHarness) -> None:
    """A pass over all slots would change none, and the timer rings when time changes the first."""
    slots, now_s = world.scheduler.slots.values(), world.now_s
    for slot in slots:
        assert not slot.is_removable(now_s), slot
        assert slot.unload_at_s is None or slot.unload_at_s > now_s, slot
        assert slot.state is not State.DRAINING or slot.load.leases, slot
    due_s = [at_s for slot in slots for at_s in slot.wake_times_s() if at_s > now_s]
    wake_s = world.scheduler.next_wake_s()
    assert wake_s is None or wake_s > now_s, "the timer would ring for ever"
    if due_s:
        assert wake_s is not None
        assert wake_s <= min(due_s)
    elif not any(slot.load.need.memory for slot in slots if slot.state in PRESENT):
        assert wake_s is None, "the timer would ring for nothing"


def check_reservations(world: SchedulerHarness) -> None:
    """Each device's reservations are those of what is there, with what is shared counted once."""
    groups: dict[tuple[str, str], int] = {}
    for name in [*world.resident, *world.loading]:
        need = world.scheduler.slots[name].load.need
        for device, held in need.memory.items():
            group = (device, f"{need.share} {need.device}" if need.share else name)
            groups[group] = max(groups.get(group, 0), held)
    for balance in world.scheduler.balances():
        held = sum(held for (device, _), held in groups.items() if device == balance.device)
        assert balance.reserved_bytes == held
