"""A scheduler driven by hand: a clock, memory and loads that do as they are told."""

from __future__ import annotations

from collections.abc import Mapping

from config.errors import MotetError, Unavailable
from models.devices import DeviceMemory
from models.drivers import Need
from models.effects import Effect, Grant, Load, Notice, Refuse, Unload
from models.ledger import Ledger
from models.scheduler import Scheduler
from models.slot import State
from models.spec import ModelSpec


def spec(name: str, memory_bytes: int = 4, **fields: object) -> ModelSpec:
    values = {"task": "chat", "backend": "reader", "keep_alive_s": 60, **fields}
    return ModelSpec.model_validate({"name": name, "memory_bytes": memory_bytes, **values})


class World:
    """Obeys the scheduler's effects when asked to, and checks that each was allowed."""

    def __init__(self, cap_bytes: int = 10, total_bytes: int = 12) -> None:
        self.now_s = 1000.0
        self.cap_bytes, self.total_bytes, self.foreign_bytes = cap_bytes, total_bytes, 0
        self.scheduler = Scheduler(Ledger({"ram": cap_bytes}), self, lambda: self.now_s)
        self.loading: dict[str, Load] = {}
        self.stopping: dict[str, Unload] = {}
        self.resident: dict[str, int] = {}
        self.generation: dict[str, int] = {}
        self.granted: dict[int, tuple[str, int]] = {}
        self.refused: dict[int, MotetError] = {}
        self.notices: dict[int, list[Mapping[str, object]]] = {}
        self.waiting: set[int] = set()
        self.tickets = 0

    def read(self) -> Mapping[str, DeviceMemory]:
        used = sum(self.resident.values()) + self.foreign_bytes
        return {"ram": DeviceMemory(self.total_bytes, max(0, self.total_bytes - used))}

    def ask(self, model: ModelSpec, priority: int = 0) -> int:
        self.tickets += 1
        self.waiting.add(self.tickets)
        need = [Need({"ram": model.memory_bytes or 0})]
        self.obey(self.scheduler.request(self.tickets, model, need, priority))
        return self.tickets

    def release(self, ticket: int) -> None:
        self.granted.pop(ticket, None)
        self.waiting.discard(ticket)
        self.obey(self.scheduler.release(ticket))

    def finish_load(self, name: str, memory_bytes: int | None = None) -> None:
        load = self.loading.pop(name)
        assert load.spec.memory_bytes is not None
        self.resident[name] = load.spec.memory_bytes if memory_bytes is None else memory_bytes
        self.generation[name] = load.generation
        self.obey(
            self.scheduler.loaded(
                name, load.generation, None if memory_bytes is None else {"ram": memory_bytes}
            )
        )

    def fail_load(self, name: str) -> None:
        load = self.loading.pop(name)
        error = Unavailable(f"{name} is broken.")
        self.obey(self.scheduler.load_failed(name, load.generation, error))

    def finish_unload(self, name: str) -> None:
        unload = self.stopping.pop(name)
        del self.resident[name]
        self.obey(self.scheduler.unloaded(name, unload.generation))

    def lose(self, name: str) -> None:
        del self.resident[name]
        for ticket in [t for t, held in self.granted.items() if held[0] == name]:
            self.granted[ticket] = ("lost", 0)
        self.obey(self.scheduler.lost(name, self.generation[name]))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.obey(self.scheduler.tick())

    def state(self, name: str) -> State:
        slot = self.scheduler.slots.get(name)
        return slot.state if slot else State.ABSENT

    def obey(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Load(model, _, _):
                    self._begin(effect, model)
                case Unload(name, generation):
                    assert name in self.resident, "unloaded what is not loaded"
                    assert name not in self.stopping, "unloaded twice"
                    held = (name, generation)
                    assert held not in self.granted.values(), "unloaded while leased"
                    self.stopping[name] = effect
                case Grant(ticket, name, generation):
                    assert ticket in self.waiting, "granted twice, or to nobody"
                    assert name in self.resident, "granted what is not loaded"
                    assert name not in self.stopping, "granted what is being unloaded"
                    assert generation == self.generation[name]
                    self.waiting.remove(ticket)
                    self.granted[ticket] = (name, generation)
                case Refuse(ticket, error):
                    assert ticket in self.waiting, "refused twice, or nobody"
                    self.waiting.remove(ticket)
                    self.refused[ticket] = error
                case Notice(ticket, news):
                    self.notices.setdefault(ticket, []).append(news)

    def _begin(self, load: Load, model: ModelSpec) -> None:
        assert model.name not in self.loading, "loaded twice at once"
        assert model.name not in self.resident, "loaded what is loaded"
        self.loading[model.name] = load
        free = self.scheduler.balances()[0]
        if model.memory_bytes:
            assert free.reserved_bytes <= self.cap_bytes, "over the cap"
