"""What is known of a run and of a thread, and what a client asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

RunStatus = Literal["queued", "running", "waiting", "finished", "failed", "cancelled"]
MultitaskStrategy = Literal["reject", "enqueue", "interrupt", "rollback"]
OnDisconnect = Literal["cancel", "continue"]

UNENDED: tuple[RunStatus, ...] = ("queued", "running")
ENDED: tuple[RunStatus, ...] = ("finished", "failed", "cancelled")


def timestamp(at: float) -> str:
    """Seconds since the epoch as RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One wish to run an agent, whatever surface it came through.

    Without `thread_id` the run has a thread of its own, which ends with it. `checkpoint_id`
    starts from that point of the thread's history. `input` is what the agent's schema asks for.
    `create_thread` makes a thread that does not exist yet instead of refusing it.
    """

    agent: str
    input: Any = None
    tenant: str = "default"
    thread_id: str | None = None
    checkpoint_id: str | None = None
    create_thread: bool = False
    multitask: MultitaskStrategy = "enqueue"
    webhook: str | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution of an agent on a thread, as the store holds it. Times are epoch seconds."""

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
    checkpoint_id: str | None = None
    resume: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    multitask: MultitaskStrategy = "enqueue"
    webhook: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON for a client."""
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
