"""The types of a run's events, and the meaning of each field; docs/runs.md is made of them.

Owns names and meanings alone. Events are built as plain dicts where they happen (`execution`,
`stream_translator`, and the nodes and tools that emit them), because one is built for each token:
nothing here runs then. The tests hold every event that any test sees against its declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

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


# The run


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


# Its steps


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


# What nodes and tools emit


@dataclass(frozen=True, kw_only=True)
class Token(EventData):
    type = "token"
    meaning = "a piece of text from a model, as it is written"
    scope = "step or run"
    from_nodes = True

    text: Annotated[str, "the piece"]
    message: Annotated[str | None, "the id of the message that it belongs to"] = None


@dataclass(frozen=True, kw_only=True)
class ModelPhase(EventData):
    type = "model"
    meaning = "which model was chosen for a step and why, and what it waits for until it is loaded"
    scope = "step or run"
    from_nodes = True

    model: Annotated[str, "the model's name"]
    phase: Annotated[
        str | None,
        "`chosen`, `queued`, `pulling`, `starting`, `stopping`, `loading` or `out_of_memory`",
    ] = None
    role: Annotated[
        str | None, "`chosen`: the role that stands for it, null for a model's name"
    ] = None
    reason: Annotated[str | None, "`chosen`: why this one"] = None
    passed_over: Annotated[
        list[dict[str, Any]] | None, "`chosen`: `model` and `why` of those before it in the role"
    ] = None
    backend: Annotated[str | None, "`chosen`: its back end"] = None
    source: Annotated[str | None, "`chosen`: its source there"] = None
    verdict: Annotated[str | None, "`queued`: `evicts` others or `waits`"] = None
    models: Annotated[list[str] | None, "`queued`: those in the way"] = None
    device: Annotated[str | None, "`queued`: where it is to be loaded"] = None
    need_bytes: Annotated[dict[str, int] | None, "`queued`: what it takes, by device"] = None
    free_bytes: Annotated[dict[str, int] | None, "`queued`: what is free there"] = None
    position: Annotated[
        int | None, "`queued`, `loading`: the request's place in the queue, from 1"
    ] = None
    estimate_s: Annotated[float | None, "`queued`, `loading`: how long it may take yet"] = None
    unloaded: Annotated[list[str] | None, "`out_of_memory`: what was unloaded to make room"] = None
    image: Annotated[str | None, "`pulling`: the container image"] = None
    completed: Annotated[int | None, "`pulling`: bytes so far"] = None
    total: Annotated[int | None, "`pulling`: bytes in all"] = None
    status: Annotated[str | None, "`pulling`: in the back end's words"] = None
    server: Annotated[str | None, "`starting`: the server's program or image"] = None
    note: Annotated[str | None, "`starting`: what to know of it"] = None


@dataclass(frozen=True, kw_only=True)
class Progress(EventData):
    type = "progress"
    meaning = "how far a node is"
    scope = "step or run"
    from_nodes = True

    done: Annotated[int | None, "items done, of `total`"] = None
    total: Annotated[int | None, "items in all"] = None
    step_done: Annotated[int | None, "steps of a picture done, of `step_total`"] = None
    step_total: Annotated[int | None, "steps in all"] = None
    preview: Annotated[str | None, "the picture so far, small, as a data URL; now and then"] = None
    sentence: Annotated[str | None, "the sentence just spoken"] = None
    spoken_s: Annotated[float | None, "the length of what was spoken so far"] = None
    heard: Annotated[str | None, "the words just heard"] = None
    heard_s: Annotated[float | None, "where in the sound they end"] = None
    found: Annotated[int | None, "how many passages were found"] = None
    index: Annotated[str | list[str] | None, "the index, or indexes, that were searched"] = None
    choice: Annotated[str | None, "the way that a `route` node took"] = None
    repair: Annotated[int | None, "which attempt to repair a structured answer this is"] = None
    message: Annotated[str | None, "`repair`: what does not fit"] = None
    skipped: Annotated[bool | None, "true: the node's `when` was false"] = None
    cached: Annotated[bool | None, "true: the result was taken from the cache"] = None


@dataclass(frozen=True, kw_only=True)
class ArtifactMade(EventData):
    type = "artifact"
    meaning = "a file was made"
    scope = "step or run"
    from_nodes = True

    id: Annotated[str, "its id: the hash of its content"]
    url: Annotated[str, "where it is fetched, below the service's address"]
    name: Annotated[str, "a file name"]
    media_type: Annotated[str, "its media type"]
    size_bytes: Annotated[int, "its size"]
    width: Annotated[int | None, "of a picture, in pixels"] = None
    height: Annotated[int | None, "of a picture, in pixels"] = None
    seed: Annotated[int | None, "of a picture: the seed that draws it again"] = None
    seconds: Annotated[float | None, "of a sound"] = None


@dataclass(frozen=True, kw_only=True)
class ToolCall(EventData):
    type = "tool"
    meaning = "a tool is called, by a node or a model"
    scope = "step or run"
    from_nodes = True

    phase: Annotated[str, "`called`, `returned` or `failed`"]
    tool: Annotated[str, "its name"]
    arguments: Annotated[dict[str, Any] | None, "`called`: its arguments"] = None
    result: Annotated[Any, "`returned`: its result, shortened"] = None
    code: Annotated[str | None, "`failed`: the error's code"] = None
    message: Annotated[str | None, "`failed`: the error"] = None


@dataclass(frozen=True, kw_only=True)
class Warned(EventData):
    type = "warning"
    meaning = "something went wrong and the run goes on"
    scope = "step or run"
    from_nodes = True

    code: Annotated[str, "an [error code](errors.md)"]
    message: Annotated[str, "what went wrong"]
    handled: Annotated[
        str | None, "what is done about it: `continue`, `goto`, `default`, `skip`"
    ] = None
    attempt: Annotated[int | None, "which of the node's `retry` attempts failed"] = None
    index: Annotated[int | None, "which item of a `map` failed, from 0"] = None
    score: Annotated[
        float | None, "`weak_evidence`: how well the best passage fits the question"
    ] = None
    threshold: Annotated[float | None, "`weak_evidence`: what the index asks for"] = None


@dataclass(frozen=True, kw_only=True)
class Cited(EventData):
    type = "citation"
    meaning = "what an answer cites, see [checked answers](agents.md#checked-answers)"
    scope = "step or run"
    from_nodes = True

    citations: Annotated[list[dict[str, Any]], "the places that are cited, in order"]
    invented: Annotated[list[int], "markers of passages that were not given"]
    unsupported: Annotated[list[str], "sentences whose passages do not support them"]
    removed: Annotated[list[str], "sentences that were taken out"]


@dataclass(frozen=True, kw_only=True)
class Custom(EventData):
    type = "custom"
    meaning = "what a Python graph wrote to its stream: `data` is that, of whatever form"
    scope = "step or run"


EVENT_TYPES: Mapping[str, type[EventData]] = {
    each.type: each
    for each in (
        *(RunQueued, RunStarted, RunWaiting, RunFinished, RunFailed, RunCancelled),
        *(StepStarted, StepFinished, StepFailed),
        *(Token, ModelPhase, Progress, ArtifactMade, ToolCall, Warned, Cited, Custom),
    )
}
"""Every type of event, by its name on the wire."""

NODE_EVENT_TYPES = frozenset(each.type for each in EVENT_TYPES.values() if each.from_nodes)
"""What nodes and tools may emit by name; all else that a graph writes is `custom`."""
