"""`set`: give channels new values."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.base import ChannelName
from graphs.spec.node_spec import NodeSpec


class SetSpec(NodeSpec):
    """Writes `values`, each a template or plain data, to the channels of those names."""

    type: Literal["set"]
    values: dict[ChannelName, JsonValue] = Field(min_length=1)


def build(spec: SetSpec, scope: CompileScope) -> CompiledNode:
    if spec.save is not None:
        scope.problem("save", "`set` takes no `save`: `values` names the channels.")
    inputs = {name: scope.values(("values", name), value) for name, value in spec.values.items()}
    return CompiledNode(inputs, run)


async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
    return inputs


SET = NodeType(SetSpec, build, own_channels=lambda spec: spec.values)
