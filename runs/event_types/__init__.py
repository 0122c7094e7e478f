"""The types of a run's events, and the meaning of each field; docs/runs.md is made of them.

Owns names and meanings alone. Events are built as plain dicts where they happen (`execution`,
`stream_translator`, and the nodes and tools that emit them), because one is built for each token:
nothing here runs then. The tests hold every event that any test sees against its declaration.
"""

from __future__ import annotations

from collections.abc import Mapping

from runs.event_types.base import EventData
from runs.event_types.of_nodes import (
    ArtifactMade,
    Cited,
    Custom,
    ModelPhase,
    Progress,
    Thinking,
    Token,
    ToolCall,
    Warned,
)
from runs.event_types.of_runs import (
    RunCancelled,
    RunFailed,
    RunFinished,
    RunQueued,
    RunStarted,
    RunWaiting,
    StepFailed,
    StepFinished,
    StepStarted,
)

EVENT_TYPES: Mapping[str, type[EventData]] = {
    each.type: each
    for each in (
        *(RunQueued, RunStarted, RunWaiting, RunFinished, RunFailed, RunCancelled),
        *(StepStarted, StepFinished, StepFailed),
        *(Token, Thinking, ModelPhase, Progress, ArtifactMade, ToolCall, Warned, Cited, Custom),
    )
}
"""Every type of event, by its name on the wire."""

NODE_EVENT_TYPES = frozenset(each.type for each in EVENT_TYPES.values() if each.from_nodes)
"""What nodes and tools may emit by name; all else that a graph writes is `custom`."""
