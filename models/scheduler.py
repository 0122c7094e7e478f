"""Decides which models are loaded and who gets them: a synchronous state machine.

Each method takes one thing that happened and returns the effects to carry out. It never waits,
so each decision sees and leaves a consistent state, and a test can drive it by hand.

Invariants: a leased model is never unloaded; reservations made for loads never exceed the cap;
each ticket ends in one `Grant` or one `Refuse`, or was given up by `release`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from config.errors import Busy, MotetError, Unavailable
from models.devices import Devices
from models.drivers import CPU, RAM, Need
from models.effects import Effect, Grant, Happened, Load, Notice, Refuse, Unload
from models.ledger import DeviceBalance, Ledger
from models.policy import MIN_RESIDENCE_S, Admission, Resident, admit
from models.slot import LOADED, RESIDENT, WANTED, Slot, State, Waiter
from models.spec import ModelSpec

MAX_WAITING = 1000
PATIENCE_S = 30.0
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
GB = 1e9


class Scheduler:
    """See the module. `clock` is monotonic, in seconds."""

    def __init__(self, ledger: Ledger, devices: Devices, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._devices = devices
        self._clock = clock
        self._slots: dict[str, Slot] = {}
        self._holders: dict[int, tuple[str, int]] = {}
        self._measured: dict[tuple[str, str], Need] = {}
        self._generations = itertools.count(1)
        self._effects: list[Effect] = []
        self._pins: dict[str, bool] = {}

    @property
    def slots(self) -> Mapping[str, Slot]:
        """For reading only."""
        return self._slots

    def balances(self) -> list[DeviceBalance]:
        readings = self._devices.read()
        return [self._ledger.balance(device, memory) for device, memory in readings.items()]

    def trouble(self, name: str) -> MotetError | None:
        """Why the model would be refused at once: its last load failed a moment ago."""
        slot = self._slots.get(name)
        if slot is None or slot.state is not State.FAILED or slot.error is None:
            return None
        left_s = slot.retry_at_s - self._clock()
        return _again(slot.error, left_s) if left_s > 0 else None

    def next_wake_s(self) -> float | None:
        """When `tick` is due next, by the clock."""
        slots = self._slots.values()
        times = [at for slot in slots if (at := slot.unload_at_s) is not None]
        if any(slot.state is State.QUEUED for slot in slots):
            now_s = self._clock()
            settles = [s.ready_since_s + MIN_RESIDENCE_S for s in slots if s.state is State.READY]
            times += [at for at in settles if at > now_s]
        return min(times, default=None)

    # What can happen -----------------------------------------------------------------------

    def request(
        self, ticket: int, spec: ModelSpec, needs: Sequence[Need], priority: int
    ) -> list[Effect]:
        """Someone wants a lease. `needs` are estimates; measurements take their place."""
        if error := self.trouble(spec.name):
            return [Refuse(ticket, error)]
        slot = self._slots.get(spec.name)
        if slot is None:
            slot = self._slots[spec.name] = Slot(spec, tuple(needs), needs[0])
            slot.pinned = self._pins.get(spec.name, spec.pin)
        if slot.state in WANTED and not slot.waiting:
            slot.spec = spec
            slot.needs = tuple(self._measured.get((spec.name, n.device), n) for n in needs)
            slot.need = slot.needs[0]
        if len(slot.waiting) >= MAX_WAITING:
            message = f"{MAX_WAITING} requests wait for '{spec.name}' already."
            return [Refuse(ticket, Busy(message, code="queue_full", retry_after_s=5.0))]
        slot.wait(Waiter(-priority, ticket, self._clock()))
        self._holders[ticket] = (spec.name, 0)
        if slot.told:
            self._effects.append(Notice(ticket, slot.told))
        return self._settle()

    def release(self, ticket: int) -> list[Effect]:
        """A lease ends, or a request is given up, whichever it is by now."""
        name, generation = self._holders.pop(ticket, ("", 0))
        slot = self._slots.get(name)
        if slot is None:
            return []
        slot.stop_waiting(ticket)
        if slot.generation == generation and ticket in slot.leases:
            slot.leases.remove(ticket)
            slot.idle_since_s = self._clock()
        return self._settle()

    def loaded(self, name: str, generation: int, memory: Mapping[str, int] | None) -> list[Effect]:
        slot = self._current(name, generation, State.LOADING)
        if slot is None:
            return [Unload(name, generation)]
        self._ledger.settle(name, memory)
        slot.need = Need(self._ledger.held(name), slot.need.device)
        self._measured[name, slot.need.device] = slot.need
        slot.state, slot.failures, slot.error = State.READY, 0, None
        slot.told = {}
        slot.ready_since_s = slot.idle_since_s = self._clock()
        slot.load_s = slot.ready_since_s - slot.load_started_s
        memory, load_s = dict(slot.need.memory), round(slot.load_s, 3)
        self._happened("ready", slot, device=slot.need.device, memory=memory, load_s=load_s)
        self._grant(slot)
        if slot.unload_asked:
            slot.state = State.DRAINING
        return self._settle()

    def load_failed(self, name: str, generation: int, error: MotetError) -> list[Effect]:
        slot = self._current(name, generation, State.LOADING)
        if slot is None:
            return []
        self._ledger.release(name)
        pause_s = BACKOFF_S[min(slot.failures, len(BACKOFF_S) - 1)]
        slot.state, slot.error = State.FAILED, error
        slot.failures += 1
        slot.retry_at_s = self._clock() + pause_s
        told = {"failures": slot.failures, "retry_after_s": pause_s}
        self._happened("load_failed", slot, error=error.as_dict(), **told)
        self._refuse(slot, error)
        return self._settle()

    def unloaded(self, name: str, generation: int) -> list[Effect]:
        if slot := self._current(name, generation, State.STOPPING):
            self._forget(slot)
            self._happened("unloaded", slot)
        return self._settle()

    def lost(self, name: str, generation: int, reason: str = "") -> list[Effect]:
        """It ended by itself; its leases are worth nothing, who waits gets a new one."""
        if slot := self._current(name, generation, *LOADED):
            slot.leases.clear()
            self._forget(slot)
            self._happened("lost", slot, reason=reason)
        return self._settle()

    def drain(self, name: str) -> list[Effect]:
        """Unload it as soon as nobody uses it any more."""
        slot = self._slots.get(name)
        if slot and slot.state is State.READY:
            slot.state = State.DRAINING
        elif slot and slot.state is State.LOADING:
            slot.unload_asked = True
        return self._settle()

    def pin(self, name: str, pinned: bool) -> list[Effect]:
        """Keep it from now on once it is loaded, or no longer; in place of its spec's `pin`."""
        self._pins[name] = pinned
        self._effects.append(Happened("pinned" if pinned else "unpinned", {"model": name}))
        if slot := self._slots.get(name):
            slot.pinned = pinned
            slot.idle_since_s = self._clock()
        return self._settle()

    def pinned(self, spec: ModelSpec) -> bool:
        return self._pins.get(spec.name, spec.pin)

    def out_of_memory(self, name: str, generation: int) -> list[Effect]:
        """It ran out of memory in use: unload what is idle beside it on its device."""
        slot = self._current(name, generation, *LOADED)
        if slot is None:
            return []
        self._happened("out_of_memory", slot, device=slot.need.device)
        place = RAM if slot.need.device in (CPU, "mps") else slot.need.device
        for other in self._slots.values():
            idle = other.state is State.READY and other.unused and not other.pinned
            if idle and self._ledger.held(other.spec.name).get(place):
                self._stop(other, f"'{name}' ran out of memory")
        return self._settle()

    def tick(self) -> list[Effect]:
        """Time has passed: keep-alives and minimum residences may have ended."""
        return self._settle()

    def close(self, error: MotetError) -> list[Effect]:
        """Refuse everyone who waits."""
        for slot in self._slots.values():
            self._refuse(slot, error)
        return self._settle()

    # What follows from it ------------------------------------------------------------------

    def _current(self, name: str, generation: int, *states: State) -> Slot | None:
        """The slot, unless the news is about an older load of it."""
        slot = self._slots.get(name)
        if slot and slot.generation == generation and slot.state in states:
            return slot
        return None

    def _settle(self) -> list[Effect]:
        now_s = self._clock()
        for slot in self._slots.values():
            self._grant(slot)
            if slot.unload_at_s is not None and slot.unload_at_s <= now_s:
                self._stop(slot, "idle")
            elif slot.state is State.DRAINING and not slot.leases:
                self._stop(slot, "asked for")
        wanted = [slot for slot in self._slots.values() if slot.wanted]
        if wanted:
            self._plan(sorted(wanted, key=lambda slot: slot.waiting[0]), now_s)
        self._slots = {name: slot for name, slot in self._slots.items() if not slot.over(now_s)}
        effects, self._effects = self._effects, []
        return effects

    def _plan(self, wanted: list[Slot], now_s: float) -> None:
        """Find room for each model that is wanted and not there, the most urgent first."""
        readings = self._devices.read()
        promised: Counter[str] = Counter()
        for slot in wanted:
            balances = {d: self._ledger.balance(d, memory) for d, memory in readings.items()}
            free = {device: balance.free_bytes for device, balance in balances.items()}
            caps = {device: balance.cap_bytes for device, balance in balances.items()}
            stopping = self._stopping()
            # What is being freed belongs to whom it is freed for, not to who comes later.
            room = {d: free[d] + stopping[d] - promised[d] for d in free}
            need, admission = self._place(slot, room, caps, now_s)
            slot.need = need
            if admission.verdict == "fits" and not _lacks(need.memory, free):
                self._load(slot, now_s)
                continue
            pending = any(stopping[d] or promised[d] > 0 for d in need.memory)
            if admission.permanent or (admission.verdict == "refuses" and not pending):
                self._refuse(slot, _no_room(slot, balances, admission))
                continue
            for name in admission.models if admission.verdict == "evicts" else ():
                self._stop(self._slots[name], f"room for '{slot.spec.name}'")
            self._queue(slot, admission, free)
            # One that waits for leases to end lets smaller loads pass, but not for ever.
            if admission.verdict != "waits" or now_s - slot.waiting[0].since_s > PATIENCE_S:
                promised.update(need.memory)

    def _place(
        self, slot: Slot, room: Mapping[str, int], caps: Mapping[str, int], now_s: float
    ) -> tuple[Need, Admission]:
        """The first place that does not refuse it, else the preferred one with its refusal."""
        residents = self._residents(now_s)
        found = [(need, admit(need.memory, room, caps, residents)) for need in slot.needs]
        return next((each for each in found if each[1].verdict != "refuses"), found[0])

    def _stopping(self) -> Counter[str]:
        """What is being freed, by device."""
        freed: Counter[str] = Counter()
        for name, slot in self._slots.items():
            if slot.state is State.STOPPING:
                freed.update(self._ledger.held(name))
        return freed

    def _residents(self, now_s: float) -> list[Resident]:
        return [
            slot.resident(self._ledger.held(name), now_s)
            for name, slot in self._slots.items()
            if slot.state in RESIDENT
        ]

    def _grant(self, slot: Slot) -> None:
        while slot.grantable:
            ticket = slot.waiting.pop(0).ticket
            slot.leases.add(ticket)
            self._holders[ticket] = (slot.spec.name, slot.generation)
            self._effects.append(Grant(ticket, slot.spec.name, slot.generation))

    def _load(self, slot: Slot, now_s: float) -> None:
        self._ledger.reserve(slot.spec.name, slot.need.memory)
        slot.state, slot.generation = State.LOADING, next(self._generations)
        slot.load_started_s = now_s
        self._effects.append(Load(slot.spec, slot.need, slot.generation))
        slot.unload_asked = False
        memory = dict(slot.need.memory)
        self._happened("loading", slot, device=slot.need.device, memory=memory)
        self._tell(slot, {"phase": "loading"})

    def _stop(self, slot: Slot, reason: str) -> None:
        slot.state = State.STOPPING
        self._happened("unloading", slot, reason=reason)
        self._effects.append(Unload(slot.spec.name, slot.generation, reason))

    def _happened(self, event: str, slot: Slot, **fields: object) -> None:
        told = {"model": slot.spec.name, "generation": slot.generation, **fields}
        self._effects.append(Happened(event, told))

    def _forget(self, slot: Slot) -> None:
        self._ledger.release(slot.spec.name)
        slot.state = State.ABSENT

    def _queue(self, slot: Slot, admission: Admission, free: Mapping[str, int]) -> None:
        slot.state = State.QUEUED
        numbers = {
            "need_bytes": dict(slot.need.memory),
            "free_bytes": {device: free.get(device, 0) for device in slot.need.memory},
        }
        verdict = "evicts" if admission.verdict == "evicts" else "waits"
        news = {"phase": "queued", "verdict": verdict, "models": list(admission.models)}
        self._tell(slot, {**news, **numbers})

    def _refuse(self, slot: Slot, error: MotetError) -> None:
        if slot.waiting and slot.state is not State.FAILED:
            self._happened("refused", slot, error=error.as_dict())
        for waiter in slot.waiting:
            self._holders.pop(waiter.ticket, None)
            self._effects.append(Refuse(waiter.ticket, error))
        slot.waiting, slot.told = [], {}
        if slot.state is State.QUEUED:
            slot.state = State.ABSENT

    def _tell(self, slot: Slot, news: dict[str, object]) -> None:
        if news != slot.told:
            slot.told = news
            if news["phase"] == "queued":
                fields = {key: value for key, value in news.items() if key != "phase"}
                self._happened("queued", slot, **fields)
            self._effects += [Notice(waiter.ticket, news) for waiter in slot.waiting]


def _lacks(memory: Mapping[str, int], free: Mapping[str, int]) -> bool:
    return any(wanted > free.get(device, 0) for device, wanted in memory.items())


def _again(error: MotetError, left_s: float) -> MotetError:
    message = f"{error.message} It will be tried again in {left_s:.0f} s at the earliest."
    details = error.details
    return type(error)(message, code=error.code, details=details, retry_after_s=left_s)


def _no_room(slot: Slot, balances: Mapping[str, DeviceBalance], admission: Admission) -> MotetError:
    name = slot.spec.name
    short = _shortest(slot.need.memory, balances, admission)
    need, balance = slot.need.memory[short], balances.get(short)
    free, cap = (balance.free_bytes, balance.cap_bytes) if balance else (0, 0)
    message = (
        f"'{name}' needs {need / GB:.1f} GB of {short}: {free / GB:.1f} GB "
        f"are free for models, which may take {cap / GB:.1f} GB in all."
    )
    if not admission.permanent:
        message += " What takes the rest cannot be unloaded by Motet."
    return Unavailable(
        message,
        code="insufficient_memory",
        details={"model": name, "need_bytes": need, **(balance.as_dict() if balance else {})},
        permanent=admission.permanent,
        retry_after_s=None if admission.permanent else 30.0,
    )


def _shortest(
    need: Mapping[str, int], balances: Mapping[str, DeviceBalance], admission: Admission
) -> str:
    """The device that lacks most."""

    def lack(device: str) -> int:
        balance = balances.get(device)
        if balance is None:
            return need[device]
        return need[device] - (balance.cap_bytes if admission.permanent else balance.free_bytes)

    return max(need, key=lack)
