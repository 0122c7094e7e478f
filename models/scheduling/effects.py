"""What the scheduler asks the manager to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.scheduling.requirement import MemoryRequirement


@dataclass(frozen=True, slots=True)
class Load:
    """Load it to `need.device`, then report `loaded` or `load_failed` with this generation."""

    spec: ModelSpec
    need: MemoryRequirement
    generation: int


@dataclass(frozen=True, slots=True)
class Unload:
    """Unload it, then report `unloaded` with this generation."""

    name: str
    generation: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    ticket: int
    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Reject:
    ticket: int
    error: MotetError


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Tell everyone: an event of `models.events`, with JSON values."""

    event: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NotifyWaiter:
    """Tell who waits what it waits for: `phase` is "queued" or "loading"."""

    ticket: int
    news: Mapping[str, object]


Effect = Load | Unload | Grant | Reject | NotifyWaiter | EmitEvent
