"""Nodes that make pictures and sound: the tool of the same name, its arguments out of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphs.compile.node import CompiledNode, CompileScope, NodeContext
from graphs.spec.parts import NodeSpec
from tools.spec import ToolContext


def build_tool_node(tool: str) -> Callable[[NodeSpec, CompileScope], CompiledNode]:
    """What builds a node whose own fields are the arguments of a tool."""

    def build(spec: NodeSpec, scope: CompileScope) -> CompiledNode:
        async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
            return await run_tool(tool, inputs, call)

        return CompiledNode(scope.optional(**_own_fields(spec)), run)

    return build


async def run_tool(name: str, inputs: Mapping[str, Any], call: NodeContext) -> dict[str, Any]:
    """The result of a shipped tool, whose events are the step's. Raises as `Tool.call` does."""
    context = ToolContext(call.context.tenant, call.context.run_id, call.forward, call.node)
    arguments = {key: value for key, value in inputs.items() if value not in (None, "")}
    result: dict[str, Any] = await call.context.tools.get(name).call(arguments, context)
    return result


def _own_fields(spec: NodeSpec) -> dict[str, Any]:
    """A node's fields that not every node has, as far as they are given."""
    names = [name for name in type(spec).model_fields if name not in NodeSpec.model_fields]
    return {name: getattr(spec, name) for name in names if name in spec.model_fields_set}
