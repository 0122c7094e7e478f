"""The schedulers that are compared: Motet's own, and two simple ones that others use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.simulator.machine import Machine
from benchmarks.simulator.traces import Request
from config.errors import Unavailable
from models.catalog.spec import ModelSpec
from models.devices import DeviceMemory
from models.scheduling.effects import Effect, Grant, Load, Reject, Unload
from models.scheduling.ledger import Ledger
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.scheduler import Scheduler

RAM = "ram"


class Motet:
    """The real `Scheduler`, with the machine's clock and memory."""

    accelerators = ()

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        cap = {RAM: machine.trace.capacity}
        self._scheduler = Scheduler(Ledger(cap), self, lambda: machine.now_s)
        self._generations: dict[str, int] = {}
        self._ready: set[str] = set()
        self._wake_s: float | None = None

    def read(self) -> Mapping[str, DeviceMemory]:
        total = self._machine.trace.capacity
        used = self._machine.foreign_bytes + self._machine.resident_bytes
        return {RAM: DeviceMemory(total, max(0, total - used))}

    def asked(self, number: int, request: Request) -> None:
        model = self._machine.trace.models[request.model]
        spec = ModelSpec(
            name=request.model,
            task="chat",
            backend="reader",
            keep_alive_s=model.keep_alive_s,
            concurrency=model.parallel,
        )
        needs = [MemoryRequirement({RAM: model.size})]
        self._obey(self._scheduler.request(number, spec, needs, 0, request.tenant))

    def done(self, number: int, request: Request) -> None:
        self._obey(self._scheduler.release(number))

    def loaded(self, model: str) -> None:
        self._ready.add(model)
        self._obey(self._scheduler.report_loaded(model, self._generations[model], None))

    def unloaded(self, model: str) -> None:
        self._ready.discard(model)
        self._obey(self._scheduler.report_unloaded(model, self._generations[model]))

    def lost(self, model: str) -> None:
        generation = self._generations[model]
        if model in self._ready:
            self._ready.discard(model)
            self._obey(self._scheduler.report_crashed(model, generation))
        else:  # in the moment of its load
            error = Unavailable("It was killed.", code="worker_died")
            self._obey(self._scheduler.report_load_failed(model, generation, error))

    def _obey(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Load(spec, _, generation):
                    self._generations[spec.name] = generation
                    self._machine.load(spec.name)
                case Unload(name, _, _):
                    self._machine.unload(name)
                case Grant(ticket, _, _):
                    self._machine.give(ticket)
                case Reject(ticket, _):  # a client comes again; its wait goes on
                    request = self._machine.trace.requests[ticket]
                    again_s = self._machine.now_s + 5.0
                    self._machine.at(again_s, partial(self.asked, ticket, request))
        self._set_timer()

    def _set_timer(self) -> None:
        wake_s = self._scheduler.next_wake_s()
        if wake_s is not None and wake_s != self._wake_s:
            self._wake_s = wake_s
            self._machine.at(wake_s, lambda: self._ring(wake_s))

    def _ring(self, at_s: float) -> None:
        if at_s == self._wake_s:
            self._wake_s = None
            self._obey(self._scheduler.tick())


class OnePending:
    """What needs a load waits in one line, whose head alone is seen to; what is loaded or loads
    already is used at once. `victim` chooses whom the head waits for, or evicts when idle.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._line: deque[int] = deque()
        self._attached: dict[str, list[int]] = {}
        self._expiring: str | None = None
        self._used_s: dict[str, float] = {}
        self._unloading: set[str] = set()

    def victim(self, names: list[str]) -> str:
        raise NotImplementedError

    def asked(self, number: int, request: Request) -> None:
        self._used_s[request.model] = self._machine.now_s
        if request.model in self._machine.runners:
            self._machine.give(number)
        elif request.model in self._machine.loading:
            self._attached[request.model].append(number)
        else:
            self._line.append(number)
            self._advance()

    def done(self, number: int, request: Request) -> None:
        self._used_s[request.model] = self._machine.now_s
        keep_s = self._machine.trace.models[request.model].keep_alive_s
        self._machine.at(self._machine.now_s + keep_s, lambda: self._expire(request.model, keep_s))
        self._advance()

    def loaded(self, model: str) -> None:
        for number in self._attached.pop(model):
            self._machine.give(number)
        self._advance()

    def unloaded(self, model: str) -> None:
        self._unloading.discard(model)
        self._advance()

    def lost(self, model: str) -> None:
        if self._expiring == model:
            self._expiring = None
        # Who came with its load waits again, before all others.
        self._line.extendleft(reversed(self._attached.pop(model, [])))
        # What it served waits again; the line goes on with what was freed.
        self._machine.at(self._machine.now_s, self._advance)

    def _expire(self, model: str, keep_s: float) -> None:
        runner = self._machine.runners.get(model)
        idle = runner and not runner.busy
        if idle and self._machine.now_s >= self._used_s[model] + keep_s - 1e-6:
            self._unload(model)

    def _advance(self) -> None:
        while self._line:
            number = self._line[0]
            name = self._machine.trace.requests[number].model
            if name in self._machine.runners:
                self._line.popleft()
                self._machine.give(number)
            elif name in self._machine.loading:
                self._line.popleft()
                self._attached[name].append(number)
            elif name not in self._unloading and (
                self._machine.trace.models[name].size <= self._machine.free
            ):
                self._line.popleft()
                self._expiring = None
                self._attached[name] = [number]
                self._machine.load(name)
            else:
                self._make_room()
                return

    def _make_room(self) -> None:
        """One victim at a time, unloaded as soon as it is idle; meanwhile the line stands."""
        runners = self._machine.runners
        if self._unloading or not runners:
            return
        if self._expiring not in runners:
            idle = [name for name, runner in runners.items() if not runner.busy]
            self._expiring = self.victim(idle or list(runners))
        if self._expiring and not runners[self._expiring].busy:
            victim, self._expiring = self._expiring, None
            self._unload(victim)

    def _unload(self, name: str) -> None:
        self._unloading.add(name)
        self._machine.unload(name)


class Lru(OnePending):
    """The least recently used goes."""

    def victim(self, names: list[str]) -> str:
        return min(names, key=lambda name: (self._used_s[name], name))


class Ollama(OnePending):
    """The one with the shortest keep-alive goes, the first by name among equals."""

    def victim(self, names: list[str]) -> str:
        models = self._machine.trace.models
        return min(names, key=lambda name: (models[name].keep_alive_s, name))


POLICIES: dict[str, Callable[[Machine], Motet | OnePending]] = {
    "Motet": Motet,
    "LRU": Lru,
    "Ollama": Ollama,
}
