"""A machine with one memory and a clock of its own, on which a scheduler loads models."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from benchmarks.simulator.traces import Model, Request, Trace

UNLOAD_S = 0.3


class Policy(Protocol):
    """A scheduler as the machine sees it. It calls `load`, `unload` and `give` of the machine."""

    def asked(self, number: int, request: Request) -> None: ...
    def done(self, number: int, request: Request) -> None: ...
    def loaded(self, model: str) -> None: ...
    def unloaded(self, model: str) -> None: ...
    def lost(self, model: str) -> None:
        """The kernel ended it, and its requests wait again: they come as `asked`."""
        ...


@dataclass(slots=True)
class Runner:
    """A loaded model: requests given to it run as many at once as it can, in order."""

    model: Model
    running: set[int] = field(default_factory=set)
    queue: deque[int] = field(default_factory=deque)

    @property
    def busy(self) -> bool:
        return bool(self.running or self.queue)


class Machine:
    """`run` replays a trace under the policy that `build` makes; then read `waits` and `loads`."""

    def __init__(self, trace: Trace, build: Callable[[Machine], Policy]) -> None:
        self.trace = trace
        self.now_s = 0.0
        self.foreign_bytes = 0
        self.runners: dict[str, Runner] = {}
        self.loading: dict[str, Model] = {}
        self.waits: dict[int, float] = {}
        self.loads: Counter[str] = Counter()
        self.killed = 0
        self._stopping: dict[str, Model] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._asked_s: dict[int, float] = {}
        self._followers: dict[int, list[int]] = {}
        for number, request in enumerate(trace.requests):
            if request.after is not None:
                self._followers.setdefault(request.after, []).append(number)
        self._policy = build(self)

    @property
    def swaps(self) -> int:
        """Loads after the first of each model."""
        return sum(self.loads.values()) - len(self.loads)

    @property
    def resident_bytes(self) -> int:
        """What models take by measurement; one that loads shows only when it is loaded."""
        held = [runner.model for runner in self.runners.values()]
        return sum(model.size for model in [*held, *self._stopping.values()])

    @property
    def free(self) -> int:
        """What a load could have now."""
        loading = sum(model.size for model in self.loading.values())
        return self.trace.capacity - self.foreign_bytes - self.resident_bytes - loading

    def run(self) -> None:
        for number, request in enumerate(self.trace.requests):
            if request.after is None:
                self.at(request.at_s, partial(self._ask, number))
        for at_s, taken in self.trace.foreign:
            self.at(at_s, partial(self._others_take, taken))
        while self._due and len(self.waits) < len(self.trace.requests):
            self.now_s, _, act = heapq.heappop(self._due)
            act()
        assert len(self.waits) == len(self.trace.requests), "a request was never served"

    def _ask(self, number: int) -> None:
        self._asked_s[number] = self.now_s
        self._policy.asked(number, self.trace.requests[number])

    def at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(at_s, self.now_s), next(self._order), act))

    def load(self, name: str) -> None:
        model = self.trace.models[name]
        assert model.size <= self.free, "loaded into memory that is not there"
        assert name not in self.runners
        self.loading[name] = model
        self.loads[name] += 1
        self.at(self.now_s + model.load_s, partial(self._loaded, name))

    def unload(self, name: str) -> None:
        runner = self.runners.pop(name)
        assert not runner.busy, "unloaded in use"
        self._stopping[name] = runner.model
        self.at(self.now_s + UNLOAD_S, partial(self._unloaded, name))

    def give(self, number: int) -> None:
        """The model of that request is its own now, until `done`."""
        runner = self.runners[self.trace.requests[number].model]
        runner.queue.append(number)
        self._start(runner)

    def _start(self, runner: Runner) -> None:
        while runner.queue and len(runner.running) < runner.model.parallel:
            number = runner.queue.popleft()
            request = self.trace.requests[number]
            runner.running.add(number)
            self.waits[number] = self.now_s - self._asked_s[number]
            self.at(self.now_s + request.work_s, partial(self._done, runner, number))

    def _done(self, runner: Runner, number: int) -> None:
        if number not in runner.running:
            return  # it was killed meanwhile
        runner.running.remove(number)
        self._start(runner)
        self._policy.done(number, self.trace.requests[number])
        for next_one in self._followers.get(number, ()):
            self.at(self.now_s + self.trace.requests[next_one].at_s, partial(self._ask, next_one))

    def _loaded(self, name: str) -> None:
        self.runners[name] = Runner(self.loading.pop(name))
        self._kill_over_commit()
        if name in self.runners:
            self._policy.loaded(name)

    def _unloaded(self, name: str) -> None:
        del self._stopping[name]
        self._policy.unloaded(name)

    def _others_take(self, taken: int) -> None:
        self.foreign_bytes = taken
        self._kill_over_commit()

    def _kill_over_commit(self) -> None:
        """More is taken than there is: the kernel ends the largest process, as Linux does."""
        while self.runners and self.resident_bytes + self.foreign_bytes > self.trace.capacity:
            name = max(self.runners, key=lambda name: (self.runners[name].model.size, name))
            runner = self.runners.pop(name)
            self.killed += 1
            again = [*sorted(runner.running), *runner.queue]
            runner.running.clear()
            for number in again:
                self.waits.pop(number, None)
            self._policy.lost(name)
            for number in again:
                self._policy.asked(number, self.trace.requests[number])
