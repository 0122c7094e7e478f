"""From the parts of a LangGraph stream to the events of a run: pure, but for what it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from langchain_core.messages import AIMessageChunk
from langgraph.types import StreamMode

from graphs.compile.state import GOTO, LOOPS
from runs.event_types import NODE_EVENT_TYPES
from runs.events import RunEvent

Part: TypeAlias = tuple[tuple[str, ...], str, Any]
"""What LangGraph streams: namespace, mode, data."""

STREAM_MODES: tuple[StreamMode, ...] = ("tasks", "custom", "messages", "values")
HIDDEN = frozenset({LOOPS, GOTO})
"""Channels by which a graph counts its loops and steers: nothing to its readers."""
RETURN = "__return__"
"""Where LangGraph puts the result of a piece of a node's work."""


class EventDraft(NamedTuple):
    """One event to be: its type and the fields that `RunLog.append` takes."""

    type: str
    fields: dict[str, Any]


class StreamTranslator:
    """Which steps of a run have begun and ended, over all its attempts.

    LangGraph names a task by its place in the graph's history, so a step that runs again after a
    crash has the id it had before; that is how its new attempt is known to be one. `done` are the
    tasks whose results were stored before this attempt: they do not run again, though LangGraph
    announces them.
    """

    def __init__(self, told: Iterable[RunEvent] = (), done: Iterable[str] = ()) -> None:
        self._begun: dict[str, int] = {}
        self._open: dict[str, tuple[tuple[str, ...], str]] = {}
        self._ended: set[str] = set()
        self._done = frozenset(done)
        self.values: Any = None
        self.interrupts: list[dict[str, Any]] = []
        for event in told:
            self._remember(event)

    def translate(self, part: Part) -> Iterator[EventDraft]:
        """The events that one part of the stream (namespace, mode, data) amounts to."""
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

    def _remember(self, event: RunEvent) -> None:
        if event.type not in ("step.started", "step.finished", "step.failed"):
            return
        body = event.as_dict()
        step = body["step"]
        if event.type == "step.started":
            self._begun[step] = body["attempt"]
        elif event.type == "step.finished":
            self._ended.add(step)

    def _begin(self, namespace: tuple[str, ...], step: str, name: str) -> Iterator[EventDraft]:
        if step in self._ended:
            return
        self._open[step] = (namespace, name)
        if step in self._begun and step in self._done:
            # It ended just before the crash, and only the event that says so was lost.
            yield self._ended_step(namespace, step, name, {})
            return
        self._begun[step] = self._begun.get(step, 0) + 1
        yield EventDraft("step.started", self._fields(namespace, step, name))

    def _end(self, namespace: tuple[str, ...], data: Mapping[str, Any]) -> Iterator[EventDraft]:
        step, name = data["id"], data["name"]
        if data["interrupts"]:
            if not namespace:
                self._ask(step, name, data["interrupts"])
            return
        if isinstance(data["error"], asyncio.CancelledError):
            return  # it was cut off, and begins again if the run goes on
        if data["error"] is not None:
            fields = self._fields(namespace, step, name)
            error = data["error"]
            yield EventDraft("step.failed", {**fields, "data": {"message": str(error)}})
            return
        yield self._ended_step(namespace, step, name, _left(data["result"]))

    def _ask(self, step: str, name: str, questions: Iterable[Mapping[str, Any]]) -> None:
        # A question from far below comes once for each piece of work around it.
        asked = {each["id"] for each in self.interrupts}
        for question in questions:
            if question["id"] not in asked:
                asked.add(question["id"])
                self.interrupts.append({**question, "node": name, "step": step})

    def _ended_step(
        self, namespace: tuple[str, ...], step: str, name: str, data: dict[str, Any]
    ) -> EventDraft:
        self._ended.add(step)
        self._open.pop(step, None)
        return EventDraft("step.finished", {**self._fields(namespace, step, name), "data": data})

    def _fields(self, namespace: tuple[str, ...], step: str, name: str) -> dict[str, Any]:
        return {
            "node": node_path(namespace, name),
            "step": step,
            "attempt": self._begun.get(step, 1),
        }

    def _token(self, message: Any, metadata: Mapping[str, Any]) -> Iterator[EventDraft]:
        if not isinstance(message, AIMessageChunk) or not (text := message.text):
            return
        place = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
        name, _, step = place[-1].partition(":")
        fields = self._fields(tuple(place[:-1]), step, name)
        yield EventDraft("token", {**fields, "data": {"text": text, "message": message.id}})

    def _custom(self, namespace: tuple[str, ...], data: Any) -> EventDraft:
        kind = data.get("motet") if isinstance(data, dict) else None
        where = self._where(namespace, data if kind else {})
        if kind == "attempt":
            step = data["step"]
            self._begun[step] = self._begun.get(step, 1) + 1
            again = {"attempt": self._begun[step], "data": _rest(data)}
            return EventDraft("step.started", {**where, **again})
        if kind in NODE_EVENT_TYPES:
            return EventDraft(str(kind), {**where, "data": _rest(data)})
        return EventDraft("custom", {**where, "data": data})

    def _where(self, namespace: tuple[str, ...], data: Mapping[str, Any]) -> dict[str, Any]:
        """The step that a node's own event belongs to: named by it, or the only one at work."""
        step = data.get("step")
        if step in self._open:
            return self._fields(*self._placed(step))
        here = [step for step, (ns, _) in self._open.items() if ns == namespace]
        return self._fields(*self._placed(here[0])) if len(here) == 1 else {}

    def _placed(self, step: str) -> tuple[tuple[str, ...], str, str]:
        namespace, name = self._open[step]
        return namespace, step, name


def ended_step(part: Part) -> str | None:
    """The step of whose end, good or bad, a part of the stream tells."""
    _, mode, data = part
    return data["id"] if mode == "tasks" and "result" in data else None


def visible(values: Any) -> Any:
    """A state, or a part of it, without the channels that steer the graph."""
    if isinstance(values, dict) and not HIDDEN.isdisjoint(values):
        return {key: value for key, value in values.items() if key not in HIDDEN}
    return values


def node_path(namespace: tuple[str, ...], name: str) -> str:
    """`outer/inner`: the nodes from the run's own graph down to this one.

    A piece of a node's work is named after it already: `node/part`. LangGraph numbers the graphs
    that one task runs after its first; the numbers are left out.
    """
    names = [*(part.partition(":")[0] for part in namespace if ":" in part), name]
    below = [*names[1:], ""]
    kept = [n for n, next_ in zip(names, below, strict=True) if not next_.startswith(f"{n}/")]
    return "/".join(kept)


def _left(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a step left: an update of the state, or a result for the step around it."""
    if RETURN in result:
        return {"result": result[RETURN]}
    return {"update": {key: value for key, value in result.items() if key not in HIDDEN}}


def _rest(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in ("motet", "step", "node")}
