"""`tool`: call one tool with given arguments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from config.errors import MotetError, Unavailable
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.parts import NodeSpec
from tools.spec import ToolContext


class ToolSpec(NodeSpec):
    """Calls a tool. `save: channel` saves its result."""

    type: Literal["tool"]
    tool: str = Field(description="The tool's name.")
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


def build(spec: ToolSpec, scope: CompileScope) -> CompiledNode:
    arguments = {
        name: scope.values(("arguments", name), value) for name, value in spec.arguments.items()
    }

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        return {"result": await call_tool(spec.tool, inputs, call)}

    return CompiledNode(arguments, run)


async def call_tool(name: str, arguments: dict[str, Any], call: NodeContext) -> Any:
    """The tool's result, told to the run's readers.

    Raises as `Tool.call` does; the error of a tool that must not be repeated is permanent. Where
    a call of such a tool was cut off, as by a crash, it raises `Unavailable` ("tool_cut_off").
    """
    tool = call.context.tools.get(name)
    if not tool.repeatable and call.context.claim and not await call.context.claim(call.step):
        raise Unavailable(
            f"Tool '{name}' was at work when it was cut off, and must not be called again. Whether "
            "it took effect is not known.",
            code="tool_cut_off",
            details={"tool": name},
            permanent=True,
        )
    context = ToolContext(call.context.tenant, call.context.run_id, call.forward, call.node)
    call.emit("tool", phase="called", tool=name, arguments=arguments)
    try:
        result = await tool.call(arguments, context)
    except MotetError as error:
        error.permanent = error.permanent or not tool.repeatable
        call.emit("tool", phase="failed", tool=name, code=error.code, message=error.message)
        raise
    call.emit("tool", phase="returned", tool=name, result=shortened(result))
    return result


def shortened(result: Any, limit: int = 2000) -> Any:
    """A result as an event shows it; the whole of it is in the state."""
    text = result if isinstance(result, str) else repr(result)
    return result if len(text) <= limit else f"{text[:limit]}…"


TOOL = NodeType(ToolSpec, build, {"result": "any"}, lambda spec: "result")
