"""How nodes call tools: nodes whose fields are a tool's arguments, and calls with events.

Owns the events `tool` and the guard against calling twice a tool that must not be repeated. Finding
tools and checking their arguments is `tools`'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from config.errors import MotetError, Unavailable
from graphs.compile.node import CompiledNode, CompileScope, NodeContext
from graphs.spec.node_spec import NodeSpec
from tools.spec import ToolContext

MAX_EVENT_CHARS = 2000
"""Of a tool's result in an event; the whole of it is in the state."""


def build_tool_node(tool: str) -> Callable[[NodeSpec, CompileScope], CompiledNode]:
    """Return the build function of a node whose own fields are the arguments of a tool."""

    def build(spec: NodeSpec, scope: CompileScope) -> CompiledNode:
        async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
            return await run_tool(tool, inputs, context)

        return CompiledNode(scope.optional(**_own_fields(spec)), run)

    return build


async def run_tool(name: str, inputs: Mapping[str, Any], context: NodeContext) -> dict[str, Any]:
    """Call a shipped tool as the node's whole work; its events are the step's.

    Empty inputs are left out, so that the tool's own defaults hold. Raises as `Tool.call` does.
    """
    arguments = {key: value for key, value in inputs.items() if value not in (None, "")}
    tool = context.run.tools.get(name)
    result: dict[str, Any] = await tool.call(arguments, _tool_context(context))
    return result


async def call_tool(name: str, arguments: dict[str, Any], context: NodeContext) -> Any:
    """Call any tool by name, and emit the call and its result.

    Raises as `Tool.call` does; the error of a tool that must not be repeated is permanent. Where
    a call of such a tool was cut off, as by a crash, it raises `Unavailable` (`tool_cut_off`).
    """
    tool = context.run.tools.get(name)
    # The claim is durable before the call begins. A step that runs again after a crash finds its
    # claim taken, whether the tool took effect or not: then a person must look.
    claim = context.run.claim_step
    if not tool.repeatable and claim and not await claim(context.step):
        raise _cut_off(name)
    context.emit("tool", phase="called", tool=name, arguments=arguments)
    try:
        result = await tool.call(arguments, _tool_context(context))
    except MotetError as error:
        error.permanent = error.permanent or not tool.repeatable
        context.emit("tool", phase="failed", tool=name, code=error.code, message=error.message)
        raise
    context.emit("tool", phase="returned", tool=name, result=_shorten(result))
    return result


def _tool_context(context: NodeContext) -> ToolContext:
    return ToolContext(context.run.tenant, context.run.run_id, context.forward, context.node)


def _cut_off(name: str) -> Unavailable:
    return Unavailable(
        f"Tool '{name}' was at work when it was cut off, and must not be called again. Whether "
        "it took effect is not known.",
        code="tool_cut_off",
        details={"tool": name},
        permanent=True,
    )


def _shorten(result: Any) -> Any:
    text = result if isinstance(result, str) else repr(result)
    return result if len(text) <= MAX_EVENT_CHARS else f"{text[:MAX_EVENT_CHARS]}…"


def _own_fields(spec: NodeSpec) -> dict[str, Any]:
    """Return a node's fields that not every node has, as far as they are given."""
    names = [name for name in type(spec).model_fields if name not in NodeSpec.model_fields]
    return {name: getattr(spec, name) for name in names if name in spec.model_fields_set}
