"""One node at work: inputs, cache, time limit, saved parts, and what an error amounts to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy

from config.errors import Busy, Invalid, MotetError, TimedOut, Unavailable
from graphs.compile.node import CompiledNode, NodeContext, Rendered
from graphs.compile.state import GOTO, Type, fits
from graphs.run_context import RunContext
from graphs.spec.parts import NodeSpec
from graphs.templates.sandbox import Render, written

ROUTE = "goto"
"""The part by which a node names the node to go on with."""


def retryable(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, Unavailable | Busy | TimedOut) and not error.permanent


def retry_policy(spec: NodeSpec) -> RetryPolicy | None:
    """LangGraph's policy for a node's `retry`."""
    if spec.retry is None or spec.retry.attempts == 1:
        return None
    return RetryPolicy(
        initial_interval=spec.retry.backoff_s,
        backoff_factor=2.0,
        max_attempts=spec.retry.attempts,
        jitter=False,
        retry_on=retryable,
    )


@dataclass(frozen=True)
class NodeRunner:
    """A compiled node. `save` maps channels to parts of its result."""

    name: str
    spec: NodeSpec
    body: CompiledNode
    save: Mapping[str, str]
    types: Mapping[str, Type]
    empty: Mapping[str, Any]
    when: Rendered | None
    default: Rendered | None
    failure: Rendered | None
    goes: bool
    attempts: int
    fingerprint: str

    async def run(
        self, state: dict[str, Any], config: RunnableConfig, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        """The update of the state."""
        call = self._call(state, config, runtime)
        try:
            if self.when is not None and not self.when(call.view, call.render):
                call.emit("progress", skipped=True)
                return {}
            return self._update(await self._parts(call))
        except GraphBubbleUp:
            raise
        except Exception as error:
            return self._failed(error, call)

    def _call(
        self, state: dict[str, Any], config: RunnableConfig, runtime: Runtime[RunContext]
    ) -> NodeContext:
        info = runtime.execution_info
        call = NodeContext(
            node=self.name,
            step=info.task_id if info else "",
            attempt=info.node_attempt if info else 1,
            context=runtime.context,
            config=config,
            view={**self.empty, **state},
            render=Render(),
            write=runtime.stream_writer,
        )
        if call.attempt > 1:
            call.emit("attempt", number=call.attempt)
        return call

    async def _parts(self, call: NodeContext) -> dict[str, Any]:
        inputs = self._inputs(call)
        if self.spec.cache is None or call.context.cache is None:
            return await self._bounded(inputs, call)
        place = (("motet", call.context.tenant, self.fingerprint), _digest(inputs))
        known = await call.context.cache.aget([place])
        if place in known:
            call.emit("progress", cached=True)
            return dict(known[place])
        parts = await self._bounded(inputs, call)
        await call.context.cache.aset({place: (parts, int(self.spec.cache.ttl_s) or 1)})
        return parts

    def _inputs(self, call: NodeContext) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for field, rendered in self.body.inputs.items():
            try:
                inputs[field] = rendered(call.view, call.render)
            except MotetError as error:
                error.details.setdefault("field", field)
                raise
        return inputs

    async def _bounded(self, inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        if self.spec.timeout_s is None:
            return await self.body.run(inputs, call)
        # Not LangGraph's own limit: it would cancel this step from outside, past `on_error`.
        limit = asyncio.timeout(self.spec.timeout_s)
        try:
            async with limit:
                return await self.body.run(inputs, call)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimedOut(
                f"Node '{self.name}' took longer than {self.spec.timeout_s:g} s.",
                code="node_timed_out",
                details={"node": self.name, "timeout_s": self.spec.timeout_s},
            ) from error

    def _update(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        update = {channel: parts.get(part) for channel, part in self.save.items()}
        self._check_types(update)
        if self.goes:
            update[GOTO] = {self.name: parts.get(ROUTE)}
        return update

    def _check_types(self, update: Mapping[str, Any]) -> None:
        for channel, value in update.items():
            if not fits(self.types.get(channel, "any"), value):
                raise Invalid(
                    f"Node '{self.name}' would write a {type(value).__name__} to channel "
                    f"'{channel}', which holds {self.types[channel]}.",
                    code="channel_type_mismatch",
                    details={"node": self.name, "field": channel},
                )

    def _explained(self, error: Exception, told: dict[str, Any], call: NodeContext) -> Exception:
        """The error with the file's own words, where it has any."""
        if self.failure is not None and isinstance(error, MotetError):
            view = {**call.view, "error": told}
            error.message = str(written(self.failure(view, call.render)))
            error.args = (error.message,)
        return error

    def _failed(self, error: Exception, call: NodeContext) -> dict[str, Any]:
        if isinstance(error, MotetError):
            error.details.setdefault("node", self.name)
        if retryable(error) and call.attempt < self.attempts:
            call.emit("warning", **_told(error), attempt=call.attempt)
            raise error
        policy = self.spec.on_error
        told = _told(error)
        meant = policy and (policy.codes is None or told["code"] in policy.codes)
        if policy is None or not meant:
            raise error
        if policy.then == "fail":
            raise self._explained(error, told, call)
        call.emit("warning", **told, handled="goto" if policy.goto else "continue")
        update = self.default({**call.view, "error": told}, call.render) if self.default else {}
        self._check_types(update)
        return {**update, **({GOTO: {self.name: policy.goto}} if self.goes else {})}


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, MotetError):
        return {"code": error.code, "message": error.message}
    return {"code": "step_failed", "message": f"{type(error).__name__}: {error}"}


def _digest(inputs: Mapping[str, Any]) -> str:
    text = json.dumps(inputs, sort_keys=True, default=_dumped)
    return hashlib.sha256(text.encode()).hexdigest()


def _dumped(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseMessage) else repr(value)
