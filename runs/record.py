"""Runs and threads as the store holds them, and the only way in which a run's status changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from runs.parts.reference import Reference

log = logging.getLogger(__name__)

RunStatus = Literal["queued", "running", "waiting", "finished", "failed", "cancelled"]
MultitaskStrategy = Literal["reject", "enqueue", "interrupt", "rollback"]
OnDisconnect = Literal["cancel", "continue"]

TRANSITIONS: Mapping[RunStatus, tuple[RunStatus, ...]] = {
    "queued": ("running", "failed", "cancelled"),
    # From `running` to itself: a new attempt, after a crash, a shutdown or a full disk.
    "running": ("running", "waiting", "finished", "failed", "cancelled"),
    "waiting": ("running", "cancelled"),
    "finished": (),
    "failed": (),
    "cancelled": (),
}
"""Each status, and those that may follow. A new run is `queued` or `running`."""


class IllegalTransition(RuntimeError):
    """A run was to take a status that cannot follow its present one: a fault of our code."""


def timestamp(at: float) -> str:
    """Format seconds since the epoch as RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def thread_key(tenant: str, thread_id: str) -> str:
    """Join what locks, queues and checkpoints know a thread by: ids are unique in a tenant."""
    return f"{tenant}/{thread_id}"


def own_thread_key(tenant: str, run_id: str) -> str:
    """Return the key of a run's own thread, to which no id of a thread leads."""
    return thread_key(tenant, f"run:{run_id}")


def thread_id_of(key: str) -> str:
    """Return the thread's id of a key, as clients know it."""
    return key.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A client's request to run an agent, whatever surface it came through.

    Without `thread_id` the run has a thread of its own, which ends with it. `checkpoint_id`
    starts from that point of the thread's history. `input` is what the agent's schema asks for.
    `create_thread` makes a thread that does not exist yet instead of refusing it.
    """

    agent: str
    tenant: str
    input: Any = None
    thread_id: str | None = None
    checkpoint_id: str | None = None
    create_thread: bool = False
    multitask: MultitaskStrategy = "enqueue"
    webhook: str | None = field(default=None, repr=False)
    idempotency_key: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def thread_key(self) -> str | None:
        """What locks, queues and checkpoints know the thread by; None where the run has its own."""
        return None if self.thread_id is None else thread_key(self.tenant, self.thread_id)


class EncodedOutput(NamedTuple):
    """A run's output as it is stored: JSON, with null for what lies in parts of the thread."""

    json: bytes
    parts: Mapping[str, Reference]


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution of an agent on a thread, as the store holds it. Times are epoch seconds.

    `status` is assigned by `transition` alone.
    """

    run_id: str
    tenant: str
    agent: str
    version: str
    thread_id: str
    own_thread: bool
    status: RunStatus
    attempt: int
    input: Any
    created_at: float
    open_attempts: int = 0
    """Attempts in a row, the present one included, of which no end is on disk."""
    checkpoint_id: str | None = None
    resume: Any = None
    """A person's answers, with the checkpoint at which the questions were asked."""
    output: Any = None
    encoded_output: EncodedOutput | None = None
    """Set by the end of the run. One out of the store has it where some of its output is in parts;
    `output` is None then, until it is read."""
    error: dict[str, Any] | None = None
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    """The open questions of a waiting run."""
    multitask: MultitaskStrategy = "enqueue"
    webhook: str | None = field(default=None, repr=False)
    """A URL, which is a secret: it is neither logged nor shown."""
    metadata: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def thread_key(self) -> str:
        """What locks, queues and checkpoints know the run's thread by."""
        if self.own_thread:
            return own_thread_key(self.tenant, self.run_id)
        return thread_key(self.tenant, self.thread_id)

    @property
    def ended(self) -> bool:
        return not TRANSITIONS[self.status]

    def check_transition(self, status: RunStatus, reason: str) -> None:
        """Raise `IllegalTransition` for a move that `TRANSITIONS` does not have."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(
                f"Run {self.run_id} is {self.status} and cannot become {status} ({reason}): "
                f"only {' or '.join(TRANSITIONS[self.status]) or 'nothing'} may follow."
            )

    def transition(self, status: RunStatus, reason: str) -> None:
        """Move to `status`, stamp the attempt and the times, and log the move with its reason.

        Changes this object alone; the caller stores it together with the event that reports the
        move. `reason` stands in the log at info: no inputs, outputs or messages of errors.
        Raises `IllegalTransition` for a move that `TRANSITIONS` does not have.
        """
        self.check_transition(status, reason)
        now = time.time()
        if status == "running":
            if self.status == "queued":
                self.started_at = now
            else:
                self.attempt += 1
            self.open_attempts += 1
        elif status == "waiting":
            self.open_attempts = 0
        self.status = status
        if self.ended:
            self.ended_at, self.resume, self.interrupts = now, None, []
        log.info("run %s %s: %s (attempt %d)", self.run_id, status, reason, self.attempt)

    def as_dict(self) -> dict[str, Any]:
        """Return the run as JSON for a client. Its output has been read."""
        assert self.output is not None or not self.encoded_output
        return {
            "run_id": self.run_id,
            "agent": self.agent,
            "version": self.version,
            "thread_id": None if self.own_thread else self.thread_id,
            "status": self.status,
            "attempt": self.attempt,
            "input": self.input,
            "output": self.output,
            "error": self.error,
            "interrupts": self.interrupts,
            "metadata": self.metadata,
            "created_at": timestamp(self.created_at),
            "started_at": timestamp(self.started_at) if self.started_at else None,
            "ended_at": timestamp(self.ended_at) if self.ended_at else None,
        }


@dataclass(slots=True, kw_only=True)
class Thread:
    """A conversation: its name for clients, and the agent that its state belongs to."""

    thread_id: str
    tenant: str
    agent: str | None
    metadata: dict[str, Any]
    created_at: float
    updated_at: float

    @property
    def key(self) -> str:
        """What locks, queues and checkpoints know the thread by."""
        return thread_key(self.tenant, self.thread_id)
