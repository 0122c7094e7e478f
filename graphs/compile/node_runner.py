"""One step of a run: `when`, inputs, cache, time limit, saved parts, and what an error amounts to.

Owns everything that is the same for all node types. The work itself is the compiled node's.

The way of a result: `NodeRunner.run` returns an update of the state. LangGraph combines it into the
channels, writes a checkpoint (`runs.checkpoints`), and streams the step's end and the new state to
`runs.graph_stream`; `runs.stream_translator` makes of these the event `step.finished`,
`runs.run_log` numbers it and hands it to readers. What a node emits while it works takes the same
stream, as mode "custom".

Invariant: an error leaves this module in one of three ways. LangGraph tries the step again (its
retry policy and ours agree on what is retryable), `on_error` turns the error into an update, or the
error ends the run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from config.errors import Invalid, MotetError, TimedOut
from config.json_values import check_storable
from config.redaction import publish_text
from graphs.compile.node import NEXT_PART, CompiledNode, NodeContext, Renderer
from graphs.compile.retry import is_retryable
from graphs.compile.state import GOTO, overwrite
from graphs.exposure import EXPOSURE, exposure_of
from graphs.run_context import RunContext
from graphs.spec.channel_types import Reduce, Type, fits
from graphs.spec.node_spec import NodeSpec
from graphs.templates.plain import write_value
from graphs.templates.rendering import Rendering, evaluate
from tools.user_code.guard import describe
from tools.user_code.time_limit import TimeLimit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeRunner:
    """A compiled node with its policies; LangGraph calls `run` for each step."""

    name: str
    spec: NodeSpec
    node: CompiledNode
    save: Mapping[str, str]
    """Channel: part of the result."""
    types: Mapping[str, Type]
    """Of the channels written here, those that do not take anything."""
    replaces: Mapping[str, Reduce]
    """Channels whose value is replaced, with their reducers."""
    empty: Mapping[str, Any]
    when: Renderer | None
    default: Renderer | None
    """The update where `on_error` goes on; may use `error`."""
    failure_message: Renderer | None
    routes_itself: bool
    """The node may name the node to go on with, so that each update says it, be it none."""
    attempts: int
    fingerprint: str
    """Agent, node and a hash of its spec: a changed node does not find its old results cached."""

    async def run(
        self, state: dict[str, Any], config: RunnableConfig, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        """Run one step and return its update of the state."""
        context = self._context(state, config, runtime)
        log.debug("run %s: %s begins", context.run.run_id, self.name)
        try:
            if not await evaluate(lambda _: self._applies(context), context.rendering):
                context.emit("progress", skipped=True)
                log.debug("run %s: %s is passed over", context.run.run_id, self.name)
                return {}
            return {**self._update(await self._parts(context)), **_exposed(context)}
        except GraphBubbleUp:
            # How LangGraph carries questions to people and moves to other graphs: no error.
            raise
        # Cancellation is a BaseException: it passes by `on_error` and ends the step.
        except Exception as error:
            return await self._handle_error(error, context)

    def _applies(self, context: NodeContext) -> bool:
        try:
            return self.when is None or bool(self.when(context.view, context.rendering))
        except MotetError as error:
            error.details.setdefault("field", "when")
            raise

    def _context(
        self, state: dict[str, Any], config: RunnableConfig, runtime: Runtime[RunContext]
    ) -> NodeContext:
        info = runtime.execution_info
        context = NodeContext(
            node=self.name,
            step=info.task_id if info else "",
            attempt=info.node_attempt if info else 1,
            run=runtime.context,
            config=config,
            view={**self.empty, **state},
            rendering=Rendering(),
            exposure=exposure_of(state.get(EXPOSURE)),
            write=runtime.stream_writer,
        )
        if context.attempt > 1:
            # LangGraph announces a step once, whatever its retries: readers learn of them here.
            context.emit("attempt", number=context.attempt)
        return context

    async def _parts(self, context: NodeContext) -> dict[str, Any]:
        """Return the result's parts, from the cache where the spec asks for one."""
        inputs = await evaluate(lambda _: self._render_inputs(context), context.rendering)
        cache = context.run.cache
        if self.spec.cache is None or cache is None:
            return await self._run_in_time(inputs, context)
        # Not LangGraph's own cache policy: its key would have no tenant, and would be made of the
        # whole state instead of the inputs.
        key = (("motet", context.run.tenant, self.fingerprint), _digest(inputs))
        cached = await cache.aget([key])
        if key in cached:
            context.emit("progress", cached=True)
            log.debug("run %s: %s is cached", context.run.run_id, self.name)
            parts = dict(cached[key])
            context.exposure.add(parts.pop(EXPOSURE, None))
            return parts
        parts = await self._run_in_time(inputs, context)
        reads_private = context.exposure.reads_private
        noted = {**parts, **({EXPOSURE: {"private": True}} if reads_private else {})}
        await cache.aset({key: (noted, int(self.spec.cache.ttl_s) or 1)})
        return parts

    def _render_inputs(self, context: NodeContext) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for field, render in self.node.inputs.items():
            try:
                inputs[field] = render(context.view, context.rendering)
            except MotetError as error:
                error.details.setdefault("field", field)
                raise
        return inputs

    async def _run_in_time(self, inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        """Run the work within `timeout_s`. Raises `TimedOut` (`node_timed_out`)."""
        if self.spec.timeout_s is None:
            return await self.node.run(inputs, context)
        # Not LangGraph's own limit: it would cancel this step from outside, past `on_error`.
        limit = TimeLimit(self.spec.timeout_s)
        try:
            async with limit:
                return await self.node.run(inputs, context)
        except TimeoutError as error:
            # A TimeoutError of the work itself is another matter.
            if not limit.expired:
                raise
            raise TimedOut(
                f"Node '{self.name}' took longer than {self.spec.timeout_s:g} s.",
                code="node_timed_out",
                details={"node": self.name, "timeout_s": self.spec.timeout_s},
            ) from error

    def _update(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        update = {channel: parts.get(part) for channel, part in self.save.items()}
        self._check_values(update)
        for channel, reducer in self.replaces.items():
            update[channel] = overwrite(reducer, update[channel])
        if self.routes_itself:
            update[GOTO] = {self.name: parts.get(NEXT_PART)}
        return update

    def _check_values(self, update: Mapping[str, Any]) -> None:
        for channel, value in update.items():
            check_storable(value, f"Node '{self.name}'", channel, node=self.name)
            if not fits(self.types.get(channel, "any"), value):
                raise Invalid(
                    f"Node '{self.name}' would write a {type(value).__name__} to channel "
                    f"'{channel}', which holds {self.types[channel]}.",
                    code="channel_type_mismatch",
                    details={"node": self.name, "field": channel},
                )

    async def _handle_error(self, error: Exception, context: NodeContext) -> dict[str, Any]:
        """Raise the error, for a retry or for good, or return the update that `on_error` means."""
        if isinstance(error, MotetError):
            error.details.setdefault("node", self.name)
        report = _describe(error)
        where = (context.run.run_id, self.name, context.attempt)
        # LangGraph catches this and calls `run` anew after a pause; the last attempt is final.
        if is_retryable(error) and context.attempt < self.attempts:
            context.emit("warning", **report, attempt=context.attempt)
            log.info("run %s: %s failed (attempt %d), again: %s", *where, report["code"])
            raise error
        policy = self.spec.on_error
        if policy is None or not (policy.codes is None or report["code"] in policy.codes):
            log.info("run %s: %s failed (attempt %d): %s", *where, report["code"])
            raise error
        if policy.then == "fail":
            log.info("run %s: %s failed (attempt %d): %s", *where, report["code"])
            raise await self._reworded(error, report, context)
        handled = "goto" if policy.goto else "continue"
        context.emit("warning", **report, handled=handled)
        log.info("run %s: %s failed (attempt %d), %s: %s", *where, handled, report["code"])
        update = await self._default_update(report, context)
        self._check_values(update)
        steering = {GOTO: {self.name: policy.goto}} if self.routes_itself else {}
        return {**update, **steering, **_exposed(context)}

    async def _default_update(self, report: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        if (default := self.default) is None:
            return {}
        view = {**context.view, "error": report}
        update: dict[str, Any] = await evaluate(
            lambda rendering: default(view, rendering), context.rendering
        )
        return update

    async def _reworded(
        self, error: Exception, report: dict[str, Any], context: NodeContext
    ) -> Exception:
        """Give the error the file's own words, where it has any."""
        write = self.failure_message
        if write is not None and isinstance(error, MotetError):
            view = {**context.view, "error": report}
            message = await evaluate(lambda _: write_value(write(view, context.rendering)))
            error.message = str(message)
            error.args = (error.message,)
        return error


def _exposed(context: NodeContext) -> dict[str, Any]:
    """Return the write of what the step has read, if it has read anything new."""
    return {EXPOSURE: context.exposure.state()} if context.exposure.changed else {}


def _describe(error: Exception) -> dict[str, Any]:
    if isinstance(error, MotetError):
        return {"code": error.code, "message": error.public_message}
    return {"code": "step_failed", "message": publish_text(describe(error)).text}


def _digest(inputs: Mapping[str, Any]) -> str:
    text = json.dumps(inputs, sort_keys=True, default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_json(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseMessage) else repr(value)
