"""A scheduler driven by hand: a clock, memory and loads that do as they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from config.errors import MotetError, Unavailable
from models.catalog.spec import ModelSpec
from models.devices import DeviceMemory
from models.scheduling.effects import Effect, EmitEvent, Grant, Load, NotifyWaiter, Reject, Unload
from models.scheduling.ledger import Ledger
from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.scheduler import Scheduler
from models.scheduling.slot import State


def spec(name: str, memory_bytes: int = 4, **fields: object) -> ModelSpec:
    values = {"task": "chat", "backend": "reader", "keep_alive_s": 60, **fields}
    return ModelSpec.model_validate({"name": name, "memory_bytes": memory_bytes, **values})


class SchedulerHarness:
    """Obeys the scheduler's effects when asked to, and checks that each was allowed.

    `cap_bytes` and `total_bytes` are of RAM; `devices` adds others, with as much cap as total.
    """

    def __init__(
        self,
        cap_bytes: int = 10,
        total_bytes: int = 12,
        devices: Mapping[str, int] | None = None,
        estimates: MemoryEstimates | None = None,
    ) -> None:
        self.now_s = 1000.0
        self.total = {"ram": total_bytes, **(devices or {})}
        self.caps = {**self.total, "ram": cap_bytes}
        self.foreign: Counter[str] = Counter()
        self.problem = ""
        self.accelerators = ()
        self.scheduler = Scheduler(Ledger(self.caps), self, lambda: self.now_s, estimates)
        self.loading: dict[str, Load] = {}
        self.stopping: dict[str, Unload] = {}
        self.resident: dict[str, Mapping[str, int]] = {}
        self.share: dict[str, str] = {}
        self.generation: dict[str, int] = {}
        self.granted: dict[int, tuple[str, int]] = {}
        self.refused: dict[int, MotetError] = {}
        self.notices: dict[int, list[Mapping[str, object]]] = {}
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.waiting: set[int] = set()
        self.tickets = 0

    @property
    def foreign_bytes(self) -> int:
        return self.foreign["ram"]

    @foreign_bytes.setter
    def foreign_bytes(self, value: int) -> None:
        self.foreign["ram"] = value

    def read(self) -> Mapping[str, DeviceMemory]:
        used = Counter(self.foreign)
        shared: dict[tuple[str, str], int] = {}
        for name, held in self.resident.items():
            share = self.share.get(name, "") or name
            for device, taken in held.items():
                group = (share, device)
                shared[group] = max(shared.get(group, 0), taken)
        for (_, device), taken in shared.items():
            used[device] += taken
        return {
            device: DeviceMemory(total, max(0, total - used[device]), self.problem)
            for device, total in self.total.items()
        }

    def ask(
        self,
        model: ModelSpec,
        priority: int = 0,
        tenant: str = "default",
        needs: Sequence[MemoryRequirement] | None = None,
    ) -> int:
        self.tickets += 1
        self.waiting.add(self.tickets)
        asked = needs or [MemoryRequirement({"ram": model.memory_bytes or 0})]
        self.obey(self.scheduler.request(self.tickets, model, asked, priority, tenant))
        return self.tickets

    def release(self, ticket: int) -> None:
        self.granted.pop(ticket, None)
        self.waiting.discard(ticket)
        self.obey(self.scheduler.release(ticket))

    def finish_load(
        self, name: str, memory_bytes: int | None = None, memory: Mapping[str, int] | None = None
    ) -> None:
        load = self.loading.pop(name)
        if memory_bytes is not None:
            memory = {"ram": memory_bytes}
        self.resident[name] = load.need.memory if memory is None else memory
        self.share[name] = load.need.share
        self.generation[name] = load.generation
        self.obey(self.scheduler.report_loaded(name, load.generation, memory))

    def fail_load(self, name: str, code: str = "unavailable") -> None:
        load = self.loading.pop(name)
        error = Unavailable(f"{name} is broken.", code=code)
        self.obey(self.scheduler.report_load_failed(name, load.generation, error))

    def finish_unload(self, name: str) -> None:
        unload = self.stopping.pop(name)
        del self.resident[name]
        self.obey(self.scheduler.report_unloaded(name, unload.generation))

    def lose(self, name: str) -> None:
        del self.resident[name]
        for ticket in [t for t, held in self.granted.items() if held[0] == name]:
            self.granted[ticket] = ("lost", 0)
        self.obey(self.scheduler.report_crashed(name, self.generation[name]))

    def run_out(self, name: str) -> None:
        self.obey(self.scheduler.report_out_of_memory(name, self.generation[name]))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.obey(self.scheduler.tick())

    def state(self, name: str) -> State:
        slot = self.scheduler.slots.get(name)
        return slot.state if slot else State.ABSENT

    def reserved(self, device: str = "ram") -> int:
        return next(b.reserved_bytes for b in self.scheduler.balances() if b.device == device)

    def emitted(self, event: str) -> list[Mapping[str, object]]:
        return [fields for name, fields in self.events if name == event]

    def obey(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Load():
                    self._begin(effect)
                case Unload(name, generation, reason):
                    assert reason, "unloaded for no reason"
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
                case Reject(ticket, error):
                    assert ticket in self.waiting, "refused twice, or nobody"
                    self.waiting.remove(ticket)
                    self.refused[ticket] = error
                case NotifyWaiter(ticket, news):
                    self.notices.setdefault(ticket, []).append(news)
                case EmitEvent(event, fields):
                    self.events.append((event, fields))

    def _begin(self, load: Load) -> None:
        name = load.spec.name
        assert name not in self.loading, "loaded twice at once"
        assert name not in self.resident, "loaded what is loaded"
        self.loading[name] = load
        if self._shared(load):
            return  # it takes nothing that is not counted already
        for balance in self.scheduler.balances():
            if load.need.memory.get(balance.device):
                assert balance.reserved_bytes <= balance.cap_bytes, "over the cap"

    def _shared(self, load: Load) -> bool:
        share = (load.need.share, load.need.device)
        others = [n for n in [*self.resident, *self.loading] if n != load.spec.name]
        needs = [self.scheduler.slots[name].load.need for name in others]
        return bool(load.need.share) and share in [(need.share, need.device) for need in needs]
