"""Events that nodes and tools emit while they work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from runs.event_types.base import EventData


@dataclass(frozen=True, kw_only=True)
class Token(EventData):
    type = "token"
    meaning = "a piece of text from a model, as it is written"
    scope = "step or run"
    from_nodes = True

    text: Annotated[str, "the piece"]
    message: Annotated[str | None, "the id of the message that it belongs to"] = None


@dataclass(frozen=True, kw_only=True)
class Thinking(EventData):
    type = "thinking"
    meaning = "a piece of what a model thinks before it answers; no part of its answer"
    scope = "step or run"
    from_nodes = True

    text: Annotated[str, "the piece"]
    message: Annotated[str | None, "the id of the message before which it is thought"] = None
    was_token: Annotated[
        bool | None, "true: all tokens of the message until here, which turned out to be thinking"
    ] = None


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
        list[dict[str, Any]] | None,
        "`chosen`: `model`, `why` and `state` of those before it in the role",
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
    transcribed: Annotated[str | None, "the words just transcribed"] = None
    transcribed_s: Annotated[float | None, "where in the sound they end"] = None
    read_tokens: Annotated[int | None, "tokens of a long prompt that the model has read"] = None
    prompt_tokens: Annotated[int | None, "tokens of that prompt in all"] = None
    passages: Annotated[int | None, "how many passages were found"] = None
    index: Annotated[str | list[str] | None, "the index, or indexes, that were searched"] = None
    choice: Annotated[str | None, "the way that a `route` node took"] = None
    repair: Annotated[int | None, "which attempt to repair a structured answer this is"] = None
    message: Annotated[str | None, "`repair`: what does not fit"] = None
    skipped: Annotated[bool | None, "true: the node's `when` was false"] = None
    cached: Annotated[bool | None, "true: the result was taken from the cache"] = None
    waits_for: Annotated[str | None, "what a tool of one's own waits for: `a thread`"] = None


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
        float | None,
        "`weak_evidence`, `answer_quoted`: how well the best passage fits the question",
    ] = None
    threshold: Annotated[float | None, "`weak_evidence`: what the index asks for"] = None
    context: Annotated[
        int | None, "`prompt_shortened`: the model's context in tokens, where it is known"
    ] = None
    messages: Annotated[int | None, "`prompt_shortened`: earlier messages left out"] = None
    passages: Annotated[int | None, "`prompt_shortened`: passages left out, from the last on"] = (
        None
    )
    texts: Annotated[int | None, "`prompt_shortened`: texts cut off at their end"] = None


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
    added: Annotated[list[str], "sentences that cited no passage which says them, and now do"]
    text: Annotated[
        str | None, "the answer as it is given out, where it is not what the tokens said"
    ] = None


@dataclass(frozen=True, kw_only=True)
class Custom(EventData):
    type = "custom"
    meaning = "what a Python graph wrote to its stream: `data` is that, of whatever form"
    scope = "step or run"
