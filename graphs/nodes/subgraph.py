"""`subgraph`: run another agent as one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from config.errors import MotetError, nearest
from graphs.compile.node import (
    CalledAgent,
    CompiledNode,
    CompileScope,
    NodeContext,
    NodeType,
    run_called,
)
from graphs.spec.base import ChannelName
from graphs.spec.node_spec import NodeSpec


class SubgraphSpec(NodeSpec):
    """Runs another agent. `save: channel` saves its whole output, `save: {channel: name}` some."""

    names_within = frozenset(("save", "input"))

    type: Literal["subgraph"]
    agent: str = Field(description="The agent's name.")
    input: dict[ChannelName, JsonValue] = Field(default_factory=dict)


def build(spec: SubgraphSpec, scope: CompileScope) -> CompiledNode:
    inputs = {name: scope.values(("input", name), value) for name, value in spec.input.items()}
    agent = find_agent(spec.agent, spec.input, scope)
    if agent is None:
        return CompiledNode(inputs, _do_nothing)
    compiled = agent.compile()
    scope.check_parts(spec.save, ["output", *agent.output_schema.get("properties", {})])

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        called = await run_called(agent, compiled, inputs, context.exposure.state())
        context.exposure.add(called.exposure)
        output = called.output
        return {**output, "output": output}

    return CompiledNode(inputs, run)


def find_agent(name: str, input: Mapping[str, Any], scope: CompileScope) -> CalledAgent | None:
    """Return the agent that a node calls, with its input's names checked; None and a problem."""
    try:
        agent = scope.linker.agent(name)
    except MotetError as error:
        scope.problem("agent", error.message)
        return None
    fields = agent.input_schema.get("properties", {})
    for field in input:
        if field not in fields:
            hint = nearest(field, fields)
            scope.problem(("input", field), f"agent '{name}' has no input '{field}'.", hint)
    for field in agent.input_schema.get("required", []):
        if field not in input:
            scope.problem("input", f"agent '{name}' needs the input '{field}'.")
    return agent


async def _do_nothing(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
    """Stand in for an agent that is a problem of the file: such a graph never runs."""
    return {}


SUBGRAPH = NodeType(SubgraphSpec, build, main_part="output")
