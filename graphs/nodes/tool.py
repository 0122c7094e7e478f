"""`tool`: call one tool with given arguments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from config.origins import ListedHost
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.nodes.tool_calls import call_tool, literal_hosts
from graphs.spec.node_spec import NodeSpec


class ToolSpec(NodeSpec):
    """Calls a tool. `save: channel` saves its result."""

    type: Literal["tool"]
    tool: str = Field(description="The tool's name.")
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    hosts: list[ListedHost] = Field(
        default_factory=list,
        description="Hosts of addresses that may be fetched although private data was read.",
    )


def build(spec: ToolSpec, scope: CompileScope) -> CompiledNode:
    arguments = {
        name: scope.values(("arguments", name), value) for name, value in spec.arguments.items()
    }

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        policy = context.addresses.listing((*spec.hosts, *literal_hosts(spec.arguments)))
        return {"result": await call_tool(spec.tool, inputs, context, policy)}

    return CompiledNode(arguments, run)


TOOL = NodeType(ToolSpec, build, {"result": "any"}, "result")
