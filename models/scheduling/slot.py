"""One model as the scheduler sees it: its state, who uses it and who waits for it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.scheduling.queue import Waiter
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.usage import Usage


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
WANTED = frozenset({State.ABSENT, State.QUEUED, State.FAILED})
FORGET_FAILURE_S = 3600.0
NEVER_S = float("inf")
LONG_LEASES = 2.0
"""A lease that outlasts its model's usual one so many times is a long one."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A model in use makes way: since `since_s` only who ranks before `rank_s` still gets it."""

    to: str
    rank_s: float
    since_s: float


@dataclass(slots=True)
class Slot:
    spec: ModelSpec
    needs: tuple[MemoryRequirement, ...]
    """Where it could be loaded, the preferred place first."""
    need: MemoryRequirement
    """Where it is, or is tried first."""
    usage: Usage
    state: State = State.ABSENT
    generation: int = 0
    leases: dict[int, float] = field(default_factory=dict)
    """When each began, by ticket."""
    waiting: list[Waiter] = field(default_factory=list)
    pinned: bool = False
    yielding: Handover | None = None
    unload_asked: bool = False
    """It is to be unloaded when those who have it, or wait while it loads, are done."""
    successor: tuple[ModelSpec, tuple[MemoryRequirement, ...]] | None = None
    """What it is to be from its next load on, because its file has changed."""
    load_started_s: float = 0.0
    ready_since_s: float = 0.0
    idle_since_s: float = 0.0
    first_done_s: float | None = None
    """When the first lease of this load ended."""
    failures: int = 0
    retry_at_s: float = 0.0
    retried: bool = False
    """Its last load ran out of memory and was tried again at once."""
    error: MotetError | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    """What those who wait were told last."""
    ahead: int = 0
    """How many requests for other models are to be seen to before its own."""
    look_again_s: float | None = None
    """While it is queued: when time alone may change the decision."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def load_s(self) -> float:
        """How long its load took."""
        return self.usage.load_s or 0.0

    def wait(self, waiter: Waiter) -> None:
        insort(self.waiting, waiter)

    def stop_waiting(self, ticket: int) -> Waiter | None:
        found = next((waiter for waiter in self.waiting if waiter.ticket == ticket), None)
        if found:
            self.waiting.remove(found)
        return found

    def grantable(self, now_s: float) -> bool:
        """Whether the first that waits gets a lease now."""
        if not self.waiting or self.state not in LOADED:
            return False
        limit = self.spec.concurrency
        if limit is not None and len(self.leases) >= limit:
            return False
        return self.state is State.READY or self._open_at_s(self.waiting[0]) <= now_s

    def _open_at_s(self, waiter: Waiter) -> float:
        """When a model that makes way takes one more: who came first, always; others only while
        a long lease keeps it loaded anyway.
        """
        if self.yielding is None or self.unload_asked:
            return NEVER_S
        if waiter.rank_s < self.yielding.rank_s:
            return 0.0
        since_s = self.yielding.since_s
        if not any(began_s <= since_s for began_s in self.leases.values()):
            return NEVER_S
        return since_s + LONG_LEASES * (self.usage.lease_s or NEVER_S)

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

    def wakes_s(self) -> list[float]:
        """When time alone will change something about it."""
        if self.state is State.READY and self.leases:
            return []
        times = [self.unload_at_s, self.look_again_s if self.state is State.QUEUED else None]
        if self.state is State.DRAINING and self.waiting and self.leases:
            times.append(self._open_at_s(self.waiting[0]))
        return [at for at in times if at is not None and at < NEVER_S]

    def succeed(self) -> None:
        """Become what its file says now; nothing of it may be loaded."""
        if self.successor:
            self.spec, self.needs = self.successor
            self.need, self.successor = self.needs[0], None

    def measured(self, memory: Mapping[str, int]) -> None:
        self.need = replace(self.need, memory=dict(memory))
