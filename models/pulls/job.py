"""One pull, as it is told, stored and read again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from config.errors import MotetError


class PullState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # the service ended meanwhile; starting it again goes on


UNDER_WAY = frozenset({PullState.QUEUED, PullState.RUNNING})


@dataclass(slots=True)
class PullJob:
    """`name` is "<backend>/<source>". Times are seconds since 1970."""

    backend: str
    source: str
    state: PullState = PullState.QUEUED
    status: str = ""
    completed_bytes: int = 0
    total_bytes: int = 0
    error: dict[str, Any] | None = None
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None

    @property
    def name(self) -> str:
        return f"{self.backend}/{self.source}"

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY

    def as_dict(self) -> dict[str, Any]:
        """Return the job as JSON, for the API and the file."""
        return {"name": self.name, **asdict(self)}

    def update(self, progress: Mapping[str, Any]) -> None:
        """Take over what `progress` names; the rest stays."""
        self.state = PullState.RUNNING
        self.status = str(progress.get("status", self.status))
        self.completed_bytes = int(progress.get("completed", self.completed_bytes))
        self.total_bytes = int(progress.get("total", self.total_bytes))

    def end(self, state: PullState, error: MotetError | None = None) -> None:
        self.state = state
        self.error = error.as_dict() if error else None
        self.ended_at = time.time()
