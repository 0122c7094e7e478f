"""`subgraph`: run another agent as one step."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from config.errors import MotetError, nearest
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.parts import ChannelName, NodeSpec


class SubgraphSpec(NodeSpec):
    """Runs another agent. `save: channel` saves its whole output, `save: {channel: name}` some."""

    type: Literal["subgraph"]
    agent: str = Field(description="The agent's name.")
    input: dict[ChannelName, JsonValue] = Field(default_factory=dict)


def build(spec: SubgraphSpec, scope: CompileScope) -> CompiledNode:
    inputs = {name: scope.values(("input", name), value) for name, value in spec.input.items()}
    agent = linked(spec.agent, spec.input, scope)
    if agent is None:
        return CompiledNode(inputs, _nothing)
    compiled = agent.compile()
    limit: Any = {"recursion_limit": agent.recursion_limit}
    scope.check_parts(spec.save, ["output", *agent.output_schema.get("properties", {})])

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        values = await compiled.ainvoke(agent.initial_state(inputs), limit)
        output = agent.output(values)
        return {**output, "output": output}

    return CompiledNode(inputs, run)


def linked(name: str, given: dict[str, Any], scope: CompileScope) -> Any:
    """The agent that a node calls, its input's names checked, or None and a problem."""
    try:
        agent = scope.linker.agent(name)
    except MotetError as error:
        scope.problem("agent", error.message)
        return None
    known = agent.input_schema.get("properties", {})
    for field in given:
        if field not in known:
            hint = nearest(field, known)
            scope.problem(("input", field), f"agent '{name}' has no input '{field}'.", hint)
    for field in agent.input_schema.get("required", []):
        if field not in given:
            scope.problem("input", f"agent '{name}' needs the input '{field}'.")
    return agent


async def _nothing(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
    return {}


SUBGRAPH = NodeType(SubgraphSpec, build, None, lambda spec: "output")
