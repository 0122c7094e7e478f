"""What every event has, and the base of the declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

Scope = Literal["run", "attempt", "step", "step or run"]
"""What an event belongs to, and so which fields it has beside its data."""

ENVELOPE: Mapping[str, str] = {
    "type": "one of the types below",
    "run_id": "the run",
    "seq": "the event's number in its run, from 1, without gaps; the SSE `id`",
    "time": "when it happened, RFC 3339 in UTC",
}
"""Fields of every event."""

SCOPE_FIELDS: Mapping[str, str] = {
    "node": "the path of the node, from the run's own graph down: `outer/inner`",
    "step": "the step's id: the same when it runs again after a crash",
    "attempt": "of an event of a step: which execution of the step; of `run.started` and "
    "`run.queued`: which attempt at the run",
    "data": "what the type declares",
}
"""Fields of events by their scope; a run's last events have `data` alone."""

FIELDS_OF_SCOPE: Mapping[Scope, tuple[str, ...]] = {
    "run": ("data",),
    "attempt": ("attempt", "data"),
    "step": ("node", "step", "attempt", "data"),
    "step or run": ("node", "step", "attempt", "data"),
}


@dataclass(frozen=True, kw_only=True)
class EventData:
    """The `data` of one type of event; each subclass declares one, each field with its meaning.

    A field with a default is one that an event may lack.
    """

    type: ClassVar[str]
    meaning: ClassVar[str]
    scope: ClassVar[Scope] = "run"
    from_nodes: ClassVar[bool] = False
    """Whether nodes and tools emit it, by its type's name."""
