"""What the scheduler asks its executor to do, in the order in which it is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.scheduling.requirement import MemoryRequirement


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model to `need.device`, then report how that ended, with this generation."""

    spec: ModelSpec
    need: MemoryRequirement
    generation: int


@dataclass(frozen=True, slots=True)
class Unload:
    """Unload the model, then report it with this generation. `reason` is for people."""

    name: str
    generation: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Give the request its lease of that load of the model."""

    ticket: int
    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Reject:
    """End the request with this error."""

    ticket: int
    error: MotetError


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Publish an event of `models.events`, with JSON values."""

    event: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NotifyWaiter:
    """Notify a request of what it waits for: its `phase` is "queued" or "loading"."""

    ticket: int
    notice: Mapping[str, object]


Effect = Load | Unload | Grant | Reject | NotifyWaiter | EmitEvent
