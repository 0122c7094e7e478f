"""From nodes and edges of a spec to a LangGraph builder: channels, compiled nodes, edges.

Owns the order of compiling. Each node is compiled by its type's `build`, edges are read by `flow`
and connected by `router`. Compiling never stops at a problem: all of a file's are gathered in the
scope, and whoever began checks them before the graph is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langgraph.cache.base import BaseCache
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from config.errors import nearest
from graphs.compile.flow import Flow, read_flow
from graphs.compile.join import attach_joins
from graphs.compile.loops import count_rounds
from graphs.compile.node import CompileScope, NodeType, Renderer
from graphs.compile.node_runner import NodeRunner
from graphs.compile.retry import retry_policy
from graphs.compile.router import connect
from graphs.compile.state import EMPTY, LOOPS, overwrite, state_schema
from graphs.exposure import EXPOSURE, exposure_of_input
from graphs.run_context import RunContext
from graphs.spec.base import RESERVED
from graphs.spec.branches import Branch
from graphs.spec.channel_types import Reduce, Type
from graphs.spec.channels import Channel
from graphs.spec.node_spec import NodeSpec
from graphs.spec.problems import Path


@dataclass(frozen=True)
class BuiltGraph:
    """A LangGraph builder and what it takes to run it: joins, empty values, a bound on steps."""

    builder: StateGraph[Any, Any, Any, Any]
    flow: Flow
    channels: Mapping[str, Channel]
    empty: Mapping[str, Any]
    """What each channel holds before its first write."""
    recursion_limit: int
    """LangGraph's bound on supersteps, from the number of nodes and the bounds of loops."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Each node's type, for drawing."""

    def compile(
        self, checkpointer: Checkpointer = None, cache: BaseCache[Any] | None = None
    ) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Compile the runnable graph. Run it with a `RunContext` and this `recursion_limit`."""
        compiled = self.builder.compile(checkpointer, cache=cache)
        attach_joins(compiled, self.flow.joins)
        return compiled

    def initial_state(
        self, values: Mapping[str, Any], exposure: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return a run's first writes: `values`, and every channel that the thread does not keep.

        `exposure` is what the graph that calls this one knows; without one, `values` are what a
        person wrote.

        A thread's checkpoint holds the channels of its last run, so those that begin afresh must be
        overwritten, the count of loops among them.
        """
        state = {
            name: overwrite(channel.reducer, self.empty[name])
            for name, channel in self.channels.items()
            if name not in values and not channel.persistent
        }
        if LOOPS in self.builder.channels:
            state[LOOPS] = overwrite("merge", {})
        # Joined to what the thread knows from earlier runs: their data is in its conversation.
        state[EXPOSURE] = exposure_of_input(values) if exposure is None else dict(exposure)
        for name, value in values.items():
            channel = self.channels[name]
            state[name] = value if channel.persistent else overwrite(channel.reducer, value)
        return state


def build_graph(
    nodes: Mapping[str, NodeSpec],
    edges: Mapping[str, Sequence[Branch]] | None,
    declared: Mapping[str, Channel],
    scope: CompileScope,
) -> BuiltGraph:
    """Compile nodes and edges. What is wrong goes to the scope's problems; look there first."""
    channels = _collect_channels(nodes, declared, scope)
    inner = scope.adding(*channels)
    flow = read_flow(nodes, edges, inner)
    empty = {name: _empty_value(channel) for name, channel in channels.items()}
    reducers: dict[str, Reduce] = {name: channel.reducer for name, channel in channels.items()}
    steering = bool(flow.loops or flow.gotos)
    schema = state_schema(f"{scope.agent}_state", reducers, steering)
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(schema, RunContext)
    for name, spec in nodes.items():
        runner = _compile_node(name, spec, inner, channels, empty, flow)
        # LangGraph's types know async nodes, but not this combination of what it injects.
        run: Any = runner.run
        policy = retry_policy(spec) if runner.attempts > 1 else None
        builder.add_node(name, run, input_schema=schema, retry_policy=policy)
    # Edges to unknown nodes would fail in LangGraph with words that are not about the file.
    if not scope.problems.entries:
        connect(builder, flow, empty)
    labels = {name: spec.type for name, spec in nodes.items()}
    # Each loop may run every node once more; two more steps for LangGraph's own begin and end.
    limit = (len(nodes) + 1) * (1 + count_rounds(flow.loops)) + 2
    return BuiltGraph(builder, flow, channels, empty, limit, labels)


def _collect_channels(
    nodes: Mapping[str, NodeSpec], declared: Mapping[str, Channel], scope: CompileScope
) -> dict[str, Channel]:
    """Return the channels that are declared, and those that nodes write besides."""
    channels = dict(declared)
    for spec in nodes.values():
        for channel, type_ in _written_types(scope.linker.node_types[spec.type], spec).items():
            channels.setdefault(channel, Channel(type=type_))
    for name in (*channels, *nodes):
        if name in RESERVED:
            message = f"'{name}' is a word of templates and edges, and names nothing else."
            scope.problem(_find_name(name, nodes, scope), message, f"Call it '{name}_', say.")
    return channels


def _find_name(name: str, nodes: Mapping[str, NodeSpec], scope: CompileScope) -> Path:
    """Return where a name stands in the file: declared, or where a node writes it."""
    if name in nodes:
        return ("nodes", name)
    for section in ("input", "state"):
        if (*scope.path, section, name) in scope.problems.marks:
            return (section, name)
    for node, spec in nodes.items():
        if name in scope.linker.node_types[spec.type].saved_parts(spec):
            return ("nodes", node, "values" if spec.type == "set" else "save", name)
    return ()


def _compile_node(
    name: str,
    spec: NodeSpec,
    scope: CompileScope,
    channels: Mapping[str, Channel],
    empty: Mapping[str, Any],
    flow: Flow,
) -> NodeRunner:
    node_type = scope.linker.node_types[spec.type]
    node_scope = replace(scope, node=name, path=(*scope.path, "nodes", name))
    node = node_type.build(spec, node_scope)
    if node_type.parts is not None:
        node_scope.check_parts(spec.save, node_type.parts)
    save = node_type.saved_parts(spec)
    replaced = node_type.replaced_channels(spec) if node_type.replaced_channels else ()
    types = {
        channel: channels[channel].type if channel in replaced else _item_type(channels[channel])
        for channel in save
    }
    return NodeRunner(
        name=name,
        spec=spec,
        node=node,
        save=save,
        types={channel: type_ for channel, type_ in types.items() if type_ != "any"},
        replaces={channel: channels[channel].reducer for channel in replaced},
        empty=empty,
        when=None if spec.when is None else node_scope.condition("when", spec.when),
        default=_compile_default(spec, node_scope),
        failure_message=_compile_failure_message(spec, node_scope),
        routes_itself=name in flow.gotos,
        attempts=spec.retry.attempts if spec.retry and not node.retries_itself else 1,
        fingerprint=f"{scope.agent}.{name}.{_digest(spec)}",
    )


def _compile_default(spec: NodeSpec, scope: CompileScope) -> Renderer | None:
    policy = spec.on_error
    if policy is None or policy.default is None:
        return None
    for channel in policy.default:
        if channel not in scope.names:
            hint = nearest(channel, sorted(scope.names))
            scope.problem(("on_error", "default"), f"there is no channel '{channel}'.", hint)
    return scope.adding("error").values(("on_error", "default"), policy.default)


def _compile_failure_message(spec: NodeSpec, scope: CompileScope) -> Renderer | None:
    if spec.on_error is None or spec.on_error.message is None:
        return None
    return scope.adding("error").template(("on_error", "message"), spec.on_error.message)


def _written_types(node_type: NodeType, spec: NodeSpec) -> dict[str, Type]:
    """Return the channels that a node writes, with the types of what it writes there."""
    types = node_type.parts or {}
    return {
        channel: types.get(part, "any") for channel, part in node_type.saved_parts(spec).items()
    }


def _item_type(channel: Channel) -> Type:
    """Return the type of one write. What is appended to a list may be anything."""
    return "any" if channel.reducer == "append" else channel.type


def _empty_value(channel: Channel) -> Any:
    return channel.default if channel.default is not None else EMPTY[channel.reducer]()


def _digest(spec: NodeSpec) -> str:
    text = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
