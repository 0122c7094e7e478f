"""What an ingest says of itself: its progress while it runs, and its report at the end.

A report grows while its ingest runs; everything else is frozen. `as_dict` is the form in which the
HTTP API and events show them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class IngestFailure:
    """A file that could not be indexed; the rest went on."""

    source: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is. `passages_total` grows while files are still being read."""

    files_done: int
    files_total: int
    passages_done: int
    passages_total: int


OnProgress = Callable[[IngestProgress], None]
"""Called on the event loop after each document and each batch of passages; must not block."""


def ignore_progress(progress: IngestProgress) -> None:
    """Do nothing with the progress of an ingest."""


@dataclass(slots=True)
class IngestReport:
    """What an ingest did. `added`, `changed`, `unchanged` and `removed` count documents.

    `documents` names those written. `embedded` passages went through the model; `reused` ones
    had a vector already.
    """

    index: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    embedded: int = 0
    reused: int = 0
    elapsed_s: float = 0.0
    documents: list[str] = field(default_factory=list)
    failed: list[IngestFailure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def join(self, part: IngestReport) -> None:
        """Add the counts and lists of a part of the ingest."""
        for each in fields(IngestReport):
            if each.name != "index":
                setattr(self, each.name, getattr(self, each.name) + getattr(part, each.name))
