"""A scheduler in running time: requests come, loads and leases take a while, nothing fails."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from models.scheduling.queue import Waiter
from tests.support.scheduling.random_history import TENANTS, USUAL, check_bookkeeping, new_harness

LONGEST_LEASE_S = 20.0


class SimulatedTraffic:
    """`run` lets requests come for so long at `rate` a second, then waits for the last to end."""

    def __init__(self, seed: int, rate: float) -> None:
        self.random = random.Random(seed)
        self.rate = rate
        self.world = new_harness()
        self.overtaken_s = 0.0
        """The most by which a request that got its lease ranked behind one that still waited."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._loading: set[tuple[str, int]] = set()
        self._stopping: set[tuple[str, int]] = set()
        self._seen: set[int] = set()
        self._waiters: dict[int, Waiter] = {}

    def run(self, seconds: float) -> None:
        at_s = self.world.now_s
        end_s = at_s + seconds
        while (at_s := at_s + self.random.expovariate(self.rate)) < end_s:
            self._at(at_s, self._ask)
        while self._due or self.world.waiting or self.world.granted:
            self._next(end_s + 3600.0)
            self._follow_up()

    def _next(self, limit_s: float) -> None:
        """Whatever comes first: something due, or the scheduler's timer."""
        wake_s = self.world.scheduler.next_wake_s() or limit_s
        if self._due and self._due[0][0] <= wake_s:
            at_s, _, act = heapq.heappop(self._due)
            self.world.now_s = max(at_s, self.world.now_s)
            act()
        else:
            assert wake_s < limit_s, f"waits for ever: {self.world.scheduler.slots}"
            self.world.pass_time(wake_s - self.world.now_s)

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._numbers), act))

    def _in(self, seconds: float, act: Callable[[], None]) -> None:
        self._at(self.world.now_s + seconds, act)

    def _ask(self) -> None:
        model, needs = self.random.choice(USUAL)
        self.world.ask(model, self.random.choice([0, 0, 1]), self.random.choice(TENANTS), needs)

    def _follow_up(self) -> None:
        """Begin what the scheduler asked for, and see who got a lease."""
        check_bookkeeping(self.world)
        self._begin_loads()
        self._begin_unloads()
        slots = self.world.scheduler.slots.values()
        waiting = {waiter.ticket: waiter for slot in slots for waiter in slot.queue.waiting}
        self._waiters.update(waiting)
        oldest_s = min((waiter.rank_s for waiter in waiting.values()), default=self.world.now_s)
        for ticket in set(self.world.granted) - self._seen:
            self._seen.add(ticket)
            rank_s = self._waiters[ticket].rank_s if ticket in self._waiters else self.world.now_s
            self.overtaken_s = max(self.overtaken_s, rank_s - oldest_s)
            lease_s = self.random.uniform(0.1, LONGEST_LEASE_S)
            self._in(lease_s, lambda ticket=ticket: self.world.release(ticket))  # type: ignore[misc]

    def _begin_loads(self) -> None:
        for name, load in self.world.loading.items():
            if (key := (name, load.generation)) not in self._loading:
                self._loading.add(key)
                seconds = self.random.uniform(1.0, 5.0)
                self._in(seconds, lambda name=name: self.world.finish_load(name))  # type: ignore[misc]

    def _begin_unloads(self) -> None:
        for name, unload in self.world.stopping.items():
            if (key := (name, unload.generation)) not in self._stopping:
                self._stopping.add(key)
                self._in(0.2, lambda name=name: self.world.finish_unload(name))  # type: ignore[misc]
