"""Translates the parts of a LangGraph stream into the events of a run. Pure, but for its memory.

Owns which step an event belongs to, its path and its attempt; the events' fields are declared in
`event_types`. Runs for each token of each run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from langchain_core.messages import AIMessageChunk

from config.redaction import publish_text
from graphs.compile.state import HIDDEN, written_value
from models.output.messages import thinking_of
from runs.event_types import NODE_EVENT_TYPES
from runs.graph_stream import Part
from runs.stored_events import StepRecord

RETURN = "__return__"
"""Where LangGraph puts the result of a piece of a node's work."""


class EventDraft(NamedTuple):
    """An event without its number: the type and the fields that `RunLog.append` takes."""

    type: str
    fields: dict[str, Any]


class StreamTranslator:
    """Remembers which steps of a run have begun and ended, over all its attempts.

    LangGraph names a task by its place in the graph's history, so a step that runs again after a
    crash has the id it had before; that is how its new attempt is recognized.
    """

    def __init__(self, earlier: Iterable[StepRecord] = (), done: Iterable[str] = ()) -> None:
        """Continue behind the `earlier` steps of the run.

        `done` are the tasks whose results were stored before this attempt: they do not run again,
        though LangGraph announces them.
        """
        self._attempts: dict[str, int] = {}
        self._open: dict[str, tuple[tuple[str, ...], str]] = {}
        """Namespace and name of each step that is at work."""
        self._ended: set[str] = set()
        self._done = frozenset(done)
        self.values: Any = None
        self.interrupts: list[dict[str, Any]] = []
        for record in earlier:
            self._remember(record)

    def translate(self, part: Part) -> Iterator[EventDraft]:
        """Yield the events of one part of the stream (namespace, mode, data); often none."""
        namespace, mode, data = part
        if mode == "values":
            if not namespace:
                self.values = data
        elif mode == "messages":
            yield from self._token(*data)
        elif mode == "custom":
            yield self._custom(namespace, data)
        elif "result" in data:
            yield from self._end(namespace, data)
        else:
            yield from self._begin(namespace, data["id"], data["name"])

    def _remember(self, record: StepRecord) -> None:
        if record.type == "step.started":
            self._attempts[record.step] = record.attempt
        else:
            self._ended.add(record.step)

    def _begin(self, namespace: tuple[str, ...], step: str, name: str) -> Iterator[EventDraft]:
        if step in self._ended:
            return
        if step in self._done:
            # It ended just before the crash, and only the event that reports it was lost; or
            # another run on the thread has done it.
            if step in self._attempts:
                yield self._finish(namespace, step, name, {})
            return
        self._open[step] = (namespace, name)
        self._attempts[step] = self._attempts.get(step, 0) + 1
        yield EventDraft("step.started", self._fields(namespace, step, name))

    def _end(self, namespace: tuple[str, ...], data: Mapping[str, Any]) -> Iterator[EventDraft]:
        step, name = data["id"], data["name"]
        if data["interrupts"]:
            if not namespace:
                self._ask(step, name, data["interrupts"])
            return
        if isinstance(data["error"], asyncio.CancelledError):
            return  # the step was cut off, and begins again if the run goes on
        if data["error"] is not None:
            fields = self._fields(namespace, step, name)
            error = data["error"]
            yield EventDraft(
                "step.failed", {**fields, "data": {"message": publish_text(str(error)).text}}
            )
            return
        yield self._finish(namespace, step, name, _result_data(data["result"]))

    def _ask(self, step: str, name: str, questions: Iterable[Mapping[str, Any]]) -> None:
        # A question from far below comes once for each piece of work around it.
        known_ids = {each["id"] for each in self.interrupts}
        for question in questions:
            if question["id"] not in known_ids:
                known_ids.add(question["id"])
                self.interrupts.append({**question, "node": name, "step": step})

    def _finish(
        self, namespace: tuple[str, ...], step: str, name: str, data: dict[str, Any]
    ) -> EventDraft:
        self._ended.add(step)
        self._open.pop(step, None)
        return EventDraft("step.finished", {**self._fields(namespace, step, name), "data": data})

    def _fields(self, namespace: tuple[str, ...], step: str, name: str) -> dict[str, Any]:
        return {
            "node": node_path(namespace, name),
            "step": step,
            "attempt": self._attempts.get(step, 1),
        }

    def _token(self, message: Any, metadata: Mapping[str, Any]) -> Iterator[EventDraft]:
        if not isinstance(message, AIMessageChunk):
            return
        text, thinking = message.text, thinking_of(message)
        if not text and not thinking:
            return
        # The namespace of the step itself: `outer:1|inner:2` is step 2 of node `inner`.
        *namespace, own = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
        name, _, step = own.partition(":")
        fields = self._fields(tuple(namespace), step, name)
        for kind, piece in (("thinking", thinking), ("token", text)):
            if piece:
                yield EventDraft(kind, {**fields, "data": {"text": piece, "message": message.id}})

    def _custom(self, namespace: tuple[str, ...], data: Any) -> EventDraft:
        kind = data.get("motet") if isinstance(data, dict) else None
        # Anybody's code may write such a key: what is not as nodes write it is an event of its own.
        if not isinstance(kind, str):
            return EventDraft("custom", {**self._where(namespace, {}), "data": data})
        where = self._where(namespace, data)
        step = data.get("step")
        if kind == "attempt" and isinstance(step, str) and step in self._open:
            self._attempts[step] = self._attempts.get(step, 1) + 1
            retry = {"attempt": self._attempts[step], "data": _without_address(data)}
            return EventDraft("step.started", {**where, **retry})
        if kind in NODE_EVENT_TYPES:
            return EventDraft(str(kind), {**where, "data": _without_address(data)})
        return EventDraft("custom", {**where, "data": data})

    def _where(self, namespace: tuple[str, ...], data: Mapping[str, Any]) -> dict[str, Any]:
        """Find the step that a node's own event belongs to: the named one, or the only one at work.

        An event of one of several parallel steps that does not name its step belongs to the run.
        """
        step = data.get("step")
        if isinstance(step, str) and step in self._open:
            return self._fields_of_open(step)
        here = [step for step, (ns, _) in self._open.items() if ns == namespace]
        return self._fields_of_open(here[0]) if len(here) == 1 else {}

    def _fields_of_open(self, step: str) -> dict[str, Any]:
        namespace, name = self._open[step]
        return self._fields(namespace, step, name)


def ended_step(part: Part) -> str | None:
    """Return the step whose end, good or bad, a part of the stream reports."""
    _, mode, data = part
    return data["id"] if mode == "tasks" and "result" in data else None


def visible(values: Any) -> Any:
    """Return a state, or a part of it, without the channels that steer the graph."""
    if isinstance(values, dict) and not HIDDEN.isdisjoint(values):
        return {key: value for key, value in values.items() if key not in HIDDEN}
    return values


def node_path(namespace: tuple[str, ...], name: str) -> str:
    """Join the nodes from the run's own graph down to this one: `outer/inner`.

    A piece of a node's work is named after it already: `node/part`. LangGraph numbers the graphs
    that one task runs after its first; the numbers are left out.
    """
    names = [*(part.partition(":")[0] for part in namespace if ":" in part), name]
    below = [*names[1:], ""]
    path = [n for n, next_ in zip(names, below, strict=True) if not next_.startswith(f"{n}/")]
    return "/".join(path)


def _result_data(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step left: an update of the state, or a result for the step around it."""
    if RETURN in result:
        return {"result": result[RETURN]}
    update = {key: written_value(value) for key, value in result.items() if key not in HIDDEN}
    return {"update": update}


def _without_address(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in ("motet", "step", "node")}
