"""`route`: go on by an expression, or where a model says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from config.errors import Unavailable
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.compile.node_runner import ROUTE
from graphs.nodes.text import answer_in_shape
from graphs.spec.parts import Branch, Name, NodeSpec
from graphs.structured import OutputSchema

DESCRIBED = "Choose the one that fits:\n"
CANNOT = ("needs_language_model", "structured_output_invalid")


class RouteSpec(NodeSpec):
    """Says what follows: by `branches` with conditions, or by a model's choice.

    `choices` are nodes, each with words by which the model chooses. `default` is taken where no
    model here can choose.
    """

    type: Literal["route"]
    own_branches: list[Branch] | None = Field(None, alias="branches", min_length=1)
    model: str = "chat"
    system: str | None = None
    prompt: str | None = None
    choices: dict[Name, str] | None = Field(None, min_length=2)
    default: Name | None = None

    @property
    def goes_on(self) -> bool:
        return False

    def branches(self) -> list[Branch] | None:
        return self.own_branches

    def choices_to(self) -> list[str]:
        return list(self.choices or {})


def build(spec: RouteSpec, scope: CompileScope) -> CompiledNode:
    if (spec.own_branches is None) == (spec.choices is None):
        scope.problem("branches", "give `branches` with conditions, or `choices` for a model.")
    if spec.choices is None:
        return _by_expression(spec, scope)
    if spec.prompt is None:
        scope.problem("prompt", "is required: what the model chooses by.")
    if spec.default is not None and spec.default not in spec.choices:
        scope.problem("default", f"'{spec.default}' is none of the choices.")
    listed = "\n".join(f"- {name}: {words}" for name, words in spec.choices.items())
    shape = OutputSchema(_schema(list(spec.choices)))
    inputs = scope.optional(model=spec.model, system=spec.system, prompt=spec.prompt)

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        system = "\n\n".join(part for part in (inputs.get("system"), DESCRIBED + listed) if part)
        choice = await _choose({**inputs, "system": system}, call, shape, spec.default)
        call.emit("progress", choice=choice)
        return {"choice": choice, ROUTE: choice}

    return CompiledNode(inputs, run)


def _by_expression(spec: RouteSpec, scope: CompileScope) -> CompiledNode:
    for field in ("save", "prompt", "system", "default"):
        if getattr(spec, field) is not None:
            scope.problem(field, "belongs to `choices`, not to `branches`.")

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        return {}

    return CompiledNode({}, run)


async def _choose(
    inputs: dict[str, Any], call: NodeContext, shape: OutputSchema, default: str | None
) -> str:
    try:
        found = await answer_in_shape(inputs, call, shape, repairs=2)
    except Unavailable as error:
        if default is None or error.code not in CANNOT:
            raise
        call.emit("warning", code=error.code, message=error.message, handled="default")
        return default
    return str(found["parsed"]["choice"])


def _schema(choices: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"choice": {"enum": choices}},
        "required": ["choice"],
    }


ROUTE_NODE = NodeType(RouteSpec, build, {"choice": "string"}, lambda spec: "choice")
