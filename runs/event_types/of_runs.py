"""Events of a run itself and of its steps; `execution` and `stream_translator` make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from runs.event_types.base import EventData


@dataclass(frozen=True, kw_only=True)
class RunQueued(EventData):
    type = "run.queued"
    meaning = "the run is accepted; it waits for its thread or for capacity"
    scope = "attempt"

    agent: Annotated[str, "the agent's name"]
    version: Annotated[str, "the version of the agent with which the run began and will go on"]
    thread_id: Annotated[str | None, "the thread, null for a run with a thread of its own"]


@dataclass(frozen=True, kw_only=True)
class RunStarted(EventData):
    type = "run.started"
    meaning = "an attempt begins; `attempt` is 2 or more after a crash or an answer"
    scope = "attempt"

    agent: Annotated[str, "as in `run.queued`"]
    version: Annotated[str, "as in `run.queued`"]
    thread_id: Annotated[str | None, "as in `run.queued`"]
    reason: Annotated[str | None, "why a later attempt begins: `resumed` or `recovered`"] = None


@dataclass(frozen=True, kw_only=True)
class RunWaiting(EventData):
    type = "run.waiting"
    meaning = "the run asks a person, and goes on with the answer"

    interrupts: Annotated[list[dict[str, Any]], "the questions: `id` and `value` of each"]


@dataclass(frozen=True, kw_only=True)
class RunFinished(EventData):
    type = "run.finished"
    meaning = "the run has ended well"

    output: Annotated[Any, "the agent's output"]


@dataclass(frozen=True, kw_only=True)
class RunFailed(EventData):
    type = "run.failed"
    meaning = "the run has ended with an error"

    error: Annotated[dict[str, Any], "`code`, `family`, `message` and `details`"]


@dataclass(frozen=True, kw_only=True)
class RunCancelled(EventData):
    type = "run.cancelled"
    meaning = "the run was ended before its end"

    reason: Annotated[
        str, "`requested`, `client_disconnected`, `interrupted` or `superseded` by another run"
    ]


@dataclass(frozen=True, kw_only=True)
class StepStarted(EventData):
    type = "step.started"
    meaning = (
        "a node, or a piece of its work, begins; what an earlier attempt of the step said is void"
    )
    scope = "step"

    number: Annotated[int | None, "which of the node's `retry` attempts, from 2"] = None


@dataclass(frozen=True, kw_only=True)
class StepFinished(EventData):
    type = "step.finished"
    meaning = (
        "a step has ended well; its work is stored and not done again. A step that ended just "
        "before a crash may lack all data"
    )
    scope = "step"

    update: Annotated[dict[str, Any] | None, "what a node wrote to the state, by channel"] = None
    result: Annotated[Any, "what a piece of a node's work resulted in"] = None


@dataclass(frozen=True, kw_only=True)
class StepFailed(EventData):
    type = "step.failed"
    meaning = "a step has failed"
    scope = "step"

    message: Annotated[str, "the error"]
