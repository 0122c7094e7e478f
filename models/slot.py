"""One model as the scheduler sees it: its state, who uses it and who waits for it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from config.errors import MotetError
from models.drivers import Need
from models.policy import Resident
from models.spec import ModelSpec


class State(StrEnum):
    ABSENT = "absent"
    QUEUED = "queued"  # wanted, but its memory is not free yet
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"  # in use; takes no new lease and stops after the last
    STOPPING = "stopping"
    FAILED = "failed"  # could not be loaded; refused until `retry_at_s`


LOADED = frozenset({State.READY, State.DRAINING})
RESIDENT = LOADED | {State.LOADING}
PRESENT = RESIDENT | {State.STOPPING}
FORGET_FAILURE_S = 600.0
WANTED = frozenset({State.ABSENT, State.QUEUED, State.FAILED})


@dataclass(frozen=True, order=True, slots=True)
class Waiter:
    """A request without its lease yet; sorts by priority, then arrival."""

    urgency: int
    ticket: int
    since_s: float = field(compare=False)


@dataclass(slots=True)
class Slot:
    spec: ModelSpec
    needs: tuple[Need, ...]
    """Where it could be loaded, the preferred place first."""
    need: Need
    """Where it is, or is tried first."""
    state: State = State.ABSENT
    generation: int = 0
    leases: set[int] = field(default_factory=set)
    waiting: list[Waiter] = field(default_factory=list)
    load_started_s: float = 0.0
    load_s: float = 0.0
    ready_since_s: float = 0.0
    idle_since_s: float = 0.0
    failures: int = 0
    retry_at_s: float = 0.0
    error: MotetError | None = None
    told: dict[str, object] = field(default_factory=dict)
    pinned: bool = False
    unload_asked: bool = False
    """While it loads: it is to be unloaded after those who wait already."""

    def wait(self, waiter: Waiter) -> None:
        insort(self.waiting, waiter)

    def stop_waiting(self, ticket: int) -> None:
        self.waiting = [waiter for waiter in self.waiting if waiter.ticket != ticket]

    @property
    def grantable(self) -> bool:
        limit = self.spec.concurrency
        return (
            self.state is State.READY
            and bool(self.waiting)
            and (limit is None or len(self.leases) < limit)
        )

    @property
    def unused(self) -> bool:
        return not self.leases and not self.waiting

    @property
    def wanted(self) -> bool:
        """Asked for, and nothing is under way to have it."""
        return bool(self.waiting) and self.state in WANTED

    def over(self, now_s: float) -> bool:
        """Nothing left to remember."""
        if self.state is State.FAILED:
            return self.unused and now_s > self.retry_at_s + FORGET_FAILURE_S
        return self.unused and self.state in (State.ABSENT, State.QUEUED)

    @property
    def unload_at_s(self) -> float | None:
        """When keep-alive ends; None while it is used or pinned, or for ever."""
        if self.state is not State.READY or not self.unused:
            return None
        if self.pinned or self.spec.keep_alive_s < 0:
            return None
        return self.idle_since_s + self.spec.keep_alive_s

    def resident(self, memory: Mapping[str, int], now_s: float) -> Resident:
        return Resident(
            name=self.spec.name,
            memory=memory,
            # Requests that will be granted, and a load under way, are as good as a lease.
            leased=not self.unused or self.state not in LOADED,
            pinned=self.pinned,
            priority=self.spec.priority,
            load_s=self.load_s,
            resident_s=now_s - self.ready_since_s,
            idle_s=now_s - self.idle_since_s,
        )
