"""From a spec to LangGraph: channels, compiled nodes, edges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from langgraph.cache.base import BaseCache
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from config.errors import nearest
from graphs.compile.flow import Flow, read_flow
from graphs.compile.join import attach_joins
from graphs.compile.node import CompileScope, NodeType, Rendered, saves
from graphs.compile.node_runner import NodeRunner, retry_policy
from graphs.compile.router import connect
from graphs.compile.state import EMPTY, LOOPS, Reduce, Type, overwrite, state_schema
from graphs.run_context import RunContext
from graphs.spec.parts import RESERVED, Branch, Channel, NodeSpec
from graphs.templates.expressions import Expressions

if TYPE_CHECKING:
    from graphs.agent import Agent


class Linker(Protocol):
    """What a compiling graph needs from outside."""

    @property
    def node_types(self) -> Mapping[str, NodeType]: ...

    @property
    def expressions(self) -> Expressions: ...

    def agent(self, name: str) -> Agent:
        """Another agent, compiled. Raises `NotFound`, or `Invalid` for one that calls itself."""
        ...


@dataclass(frozen=True)
class Graph:
    """A LangGraph builder and what it takes to run it: joins, empty values, a bound on steps."""

    builder: StateGraph[Any, Any, Any, Any]
    flow: Flow
    channels: Mapping[str, Channel]
    empty: Mapping[str, Any]
    recursion_limit: int
    labels: Mapping[str, str] = field(default_factory=dict)

    def compile(
        self, checkpointer: Checkpointer = None, cache: BaseCache[Any] | None = None
    ) -> CompiledStateGraph[Any, Any, Any, Any]:
        compiled = self.builder.compile(checkpointer, cache=cache)
        attach_joins(compiled, self.flow.joins)
        return compiled

    def begin(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The writes a run begins with: `values`, and every channel that is not kept afresh."""
        state = {
            name: overwrite(channel.reducer, self.empty[name])
            for name, channel in self.channels.items()
            if name not in values and not channel.kept
        }
        if LOOPS in self.builder.channels:
            state[LOOPS] = overwrite("merge", {})
        for name, value in values.items():
            channel = self.channels[name]
            state[name] = value if channel.kept else overwrite(channel.reducer, value)
        return state


def build_graph(
    nodes: Mapping[str, NodeSpec],
    edges: Mapping[str, Sequence[Branch]] | None,
    declared: Mapping[str, Channel],
    scope: CompileScope,
) -> Graph:
    """Compile nodes and edges. What is wrong goes to the scope's problems; look there first."""
    channels = _channels(nodes, declared, scope)
    inner = scope.adding(*channels)
    flow = read_flow(nodes, edges, inner)
    empty = {name: _empty(channel) for name, channel in channels.items()}
    reducers: dict[str, Reduce] = {name: channel.reducer for name, channel in channels.items()}
    hidden = bool(flow.loops or flow.gotos)
    schema = state_schema(f"{scope.agent}_state", reducers, hidden)
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(schema, RunContext)
    # What is appended to a list may be anything.
    channel_types: dict[str, Type] = {
        name: "any" if channel.reducer == "append" else channel.type
        for name, channel in channels.items()
    }
    for name, spec in nodes.items():
        step = _step(name, spec, inner, channel_types, empty, goes=name in flow.gotos)
        # LangGraph's types know async nodes, but not this combination of what it injects.
        run: Any = step.run
        policy = retry_policy(spec) if step.attempts > 1 else None
        builder.add_node(name, run, input_schema=schema, retry_policy=policy)
    if not scope.problems.found:
        connect(builder, flow, empty)
    labels = {name: spec.type for name, spec in nodes.items()}
    limit = (len(nodes) + 1) * (1 + flow.loops) + 2
    return Graph(builder, flow, channels, empty, limit, labels)


def _channels(
    nodes: Mapping[str, NodeSpec], declared: Mapping[str, Channel], scope: CompileScope
) -> dict[str, Channel]:
    """The channels declared, and those that nodes write besides."""
    channels = dict(declared)
    for spec in nodes.values():
        for channel, type_ in _written(scope.linker.node_types[spec.type], spec).items():
            channels.setdefault(channel, Channel(type=type_))
    for name in (*channels, *nodes):
        if name in RESERVED:
            scope.problem(("nodes", name) if name in nodes else (), f"'{name}' is a reserved word.")
    return channels


def _step(
    name: str,
    spec: NodeSpec,
    scope: CompileScope,
    types: Mapping[str, Type],
    empty: Mapping[str, Any],
    *,
    goes: bool,
) -> NodeRunner:
    kind = scope.linker.node_types[spec.type]
    here = replace(scope, node=name, path=(*scope.path, "nodes", name))
    body = kind.build(spec, here)
    save = saves(kind, spec)
    if kind.parts is not None:
        here.check_parts(spec.save, kind.parts)
    return NodeRunner(
        name=name,
        spec=spec,
        body=body,
        save=save,
        types={channel: types[channel] for channel in save if types[channel] != "any"},
        empty=empty,
        when=None if spec.when is None else here.condition("when", spec.when),
        default=_default(spec, here),
        failure=_failure(spec, here),
        goes=goes,
        attempts=spec.retry.attempts if spec.retry and not body.retries else 1,
        fingerprint=f"{scope.agent}.{name}.{_digest(spec)}",
    )


def _default(spec: NodeSpec, scope: CompileScope) -> Rendered | None:
    policy = spec.on_error
    if policy is None or policy.default is None:
        return None
    for channel in policy.default:
        if channel not in scope.names:
            hint = nearest(channel, sorted(scope.names))
            scope.problem(("on_error", "default"), f"there is no channel '{channel}'.", hint)
    return scope.adding("error").values(("on_error", "default"), policy.default)


def _failure(spec: NodeSpec, scope: CompileScope) -> Rendered | None:
    if spec.on_error is None or spec.on_error.message is None:
        return None
    return scope.adding("error").template(("on_error", "message"), spec.on_error.message)


def _written(kind: NodeType, spec: NodeSpec) -> dict[str, Type]:
    """The channels a node writes, with the types of what it writes there."""
    types = kind.parts or {}
    return {channel: types.get(part, "any") for channel, part in saves(kind, spec).items()}


def _empty(channel: Channel) -> Any:
    return channel.default if channel.default is not None else EMPTY[channel.reducer]()


def _digest(spec: NodeSpec) -> str:
    text = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
