"""One model as the scheduler sees it: its load, its queue and its back-off.

A slot is state with the questions about it; `scheduler` alone changes it. Its moves:

    ABSENT ──request──► LOADING ──loaded──► READY ◄──nobody waits any more──┐
      │ ▲                ▲   │                │ │                           │
      │ │          there │   │ failed         │ └──asked for, handover──► DRAINING
      │ │        is room │   ▼                │                             │
      │ └──given up── QUEUED FAILED           └──idle: keep-alive, room,──┐ │ last lease
      └──request, no room──▲                     pressure                 ▼ ▼ ends
                                                                       STOPPING
    QUEUED   the memory is to be freed first
    FAILED   refused until `backoff.retry_at_s`; a request after that acts as if ABSENT
    STOPPING ──memory is free──► ABSENT
    READY or DRAINING ──crashed──► ABSENT, or FAILED after `scheduler.MAX_CRASHES`
    LOADING with a request to unload ──loaded──► DRAINING
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from models.catalog.spec import ModelSpec
from models.scheduling.backoff import Backoff
from models.scheduling.queue import SlotQueue
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.usage import Usage


class State(StrEnum):
    """Where a model stands; the diagram is the module's."""

    ABSENT = "absent"
    QUEUED = "queued"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    FAILED = "failed"


LOADED = frozenset({State.READY, State.DRAINING})
RESIDENT = LOADED | {State.LOADING}
PRESENT = RESIDENT | {State.STOPPING}
"""A load is under way or its memory is not free again: the ledger counts it."""
LOADABLE = frozenset({State.ABSENT, State.QUEUED, State.FAILED})
"""Nothing is loaded, so a request has to wait for a load."""
FORGET_FAILURE_S = 3600.0
"""A failed model nobody asks for is remembered so long, for the count of its failures."""
NEVER_S = float("inf")
LONG_LEASES = 2.0
"""A lease that outlasts its model's usual one so many times is a long one."""


@dataclass(frozen=True, slots=True)
class Handover:
    """The promise of a model in use to make way for the model `to`.

    Since `since_s`, only requests that rank before `rank_s` still get a lease of it.
    """

    to: str
    rank_s: float
    since_s: float


@dataclass(slots=True)
class LoadStatus:
    """The present load of a model, or its last one, and who uses it."""

    need: MemoryRequirement
    """Where it is loaded, or is tried first."""
    generation: int = 0
    """The number of the load: reports about an older one are ignored."""
    leases: dict[int, float] = field(default_factory=dict)
    """When each began, by ticket."""
    started_s: float = 0.0
    ready_since_s: float = 0.0
    idle_since_s: float = 0.0
    first_lease_end_s: float | None = None
    drain_requested: bool = False
    """Someone asked to unload it: it goes when those who have it, or wait while it loads, end."""
    handover: Handover | None = None

    def begin(self, generation: int, now_s: float) -> None:
        """Start the next load of the model."""
        self.generation, self.started_s = generation, now_s
        self.first_lease_end_s, self.drain_requested, self.handover = None, False, None


@dataclass(slots=True)
class Slot:
    """All that the scheduler knows of one model that is loaded, waited for or failed."""

    spec: ModelSpec
    placements: tuple[MemoryRequirement, ...]
    """Where it could be loaded, the preferred place first."""
    load: LoadStatus
    usage: Usage
    state: State = State.ABSENT
    pinned: bool = False
    pending_spec: tuple[ModelSpec, tuple[MemoryRequirement, ...]] | None = None
    """What it is to be from its next load on, because its file has changed."""
    queue: SlotQueue = field(default_factory=SlotQueue)
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def load_s(self) -> float:
        """How long its load took."""
        return self.usage.load_s or 0.0

    @property
    def is_unused(self) -> bool:
        return not self.load.leases and not self.queue.waiting

    @property
    def needs_load(self) -> bool:
        """Requests wait, and nothing is under way to serve them."""
        return bool(self.queue.waiting) and self.state in LOADABLE

    @property
    def unload_at_s(self) -> float | None:
        """When keep-alive ends; None while it is used or pinned, or for ever."""
        if self.state is not State.READY or not self.is_unused:
            return None
        if self.pinned or self.spec.keep_alive_s < 0:
            return None
        return self.load.idle_since_s + self.spec.keep_alive_s

    def can_grant(self, now_s: float) -> bool:
        """Tell whether the first request in the queue gets a lease now."""
        waiting = self.queue.waiting
        if not waiting or self.state not in LOADED:
            return False
        limit = self.spec.concurrency
        if limit is not None and len(self.load.leases) >= limit:
            return False
        return self.state is State.READY or self._grants_from_s(waiting[0].rank_s) <= now_s

    def _grants_from_s(self, rank_s: float) -> float:
        """Return from when on a draining model grants one more lease to a request of this rank."""
        handover = self.load.handover
        if handover is None or self.load.drain_requested:
            return NEVER_S
        if rank_s < handover.rank_s:
            return 0.0  # the request came before the one that the model makes way for
        # A lease from before the handover that outlasts the usual ones keeps the model loaded
        # anyway: nobody waits longer because others share it meanwhile.
        if not any(began_s <= handover.since_s for began_s in self.load.leases.values()):
            return NEVER_S
        return handover.since_s + LONG_LEASES * (self.usage.lease_s or NEVER_S)

    @property
    def is_at_rest(self) -> bool:
        """Tell whether a report, a request or time must come before a pass changes anything."""
        return not self.queue.waiting and self.load.handover is None

    def is_removable(self, now_s: float) -> bool:
        """Tell whether nothing about the model is left to remember."""
        if self.state is State.FAILED:
            return self.is_unused and now_s >= self.backoff.retry_at_s + FORGET_FAILURE_S
        return self.is_unused and self.state in (State.ABSENT, State.QUEUED)

    def wake_times_s(self) -> list[float]:
        """Return when time alone will change something about the model."""
        if self.state is State.READY and self.load.leases:
            return []
        waiting, recheck_at_s = self.queue.waiting, self.queue.recheck_at_s
        times = [self.unload_at_s, recheck_at_s if self.state is State.QUEUED else None]
        if self.state is State.FAILED and self.is_unused:
            times.append(self.backoff.retry_at_s + FORGET_FAILURE_S)
        if self.state is State.DRAINING and waiting and self.load.leases:
            times.append(self._grants_from_s(waiting[0].rank_s))
        return [at_s for at_s in times if at_s is not None and at_s < NEVER_S]

    def take_pending_spec(self) -> None:
        """Become what the file says now; nothing of the model may be loaded."""
        if self.pending_spec:
            self.spec, self.placements = self.pending_spec
            self.load.need, self.pending_spec = self.placements[0], None

    def set_memory(self, memory: Mapping[str, int]) -> None:
        """Replace the bytes by device that the load takes; its place stays."""
        self.load.need = replace(self.load.need, memory=dict(memory))
