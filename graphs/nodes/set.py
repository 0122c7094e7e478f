"""`set`: give channels new values."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.base import ChannelName
from graphs.spec.node_spec import NodeSpec


class SetSpec(NodeSpec):
    """Writes values, each a template or plain data, to the channels of those names.

    `values` are combined with what a channel holds, as its reducer says; `replace` takes its place.
    """

    names_within = frozenset(("values",))

    type: Literal["set"]
    values: dict[ChannelName, JsonValue] = Field(default_factory=dict)
    replace: dict[ChannelName, JsonValue] = Field(
        default_factory=dict, description="Whatever the channels' reducers say."
    )

    @property
    def channels(self) -> dict[str, JsonValue]:
        """Everything that is written."""
        return {**self.values, **self.replace}


def build(spec: SetSpec, scope: CompileScope) -> CompiledNode:
    if spec.save is not None:
        scope.problem("save", "`set` takes no `save`: `values` names the channels.")
    if not spec.channels:
        scope.problem("values", "is required, or `replace`.")
    for name in spec.values.keys() & spec.replace.keys():
        scope.problem(("replace", name), f"'{name}' stands in `values` too.")
    inputs = {
        name: scope.values((field, name), value)
        for field, written in (("values", spec.values), ("replace", spec.replace))
        for name, value in written.items()
    }
    return CompiledNode(inputs, run)


async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
    return inputs


SET = NodeType(
    SetSpec,
    build,
    own_channels=lambda spec: spec.channels,
    replaced_channels=lambda spec: spec.replace,
)
