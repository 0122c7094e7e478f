"""`route`: go on by an expression, or where a model says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from config.errors import Unavailable
from graphs.chat.answers import answer_in_json
from graphs.chat.output_schema import OutputSchema
from graphs.compile.node import (
    NEXT_PART,
    CompiledNode,
    CompileScope,
    NodeContext,
    NodeType,
)
from graphs.spec.base import Name
from graphs.spec.branches import Branch
from graphs.spec.node_spec import NodeSpec

INSTRUCTION = "Choose the one that fits:\n"
DEFAULT_CODES = (
    "needs_language_model",
    "structured_output_invalid",
    "response_empty",
    "only_thinking",
)
"""The failures after which `default` is taken: no model here can choose, or it chose nothing."""
REPAIRS = 2
"""How often a model that names none of the choices is asked again."""


class RouteSpec(NodeSpec):
    """Says what follows: by `branches` with conditions, or by a model's choice.

    `choices` are nodes, each with words by which the model chooses. `default` is taken where no
    model here can choose.
    """

    names_within = frozenset(("save", "choices"))

    type: Literal["route"]
    branches: list[Branch] | None = Field(None, min_length=1)
    model: str = "chat"
    system: str | None = None
    prompt: str | None = None
    choices: dict[Name, str] | None = Field(None, min_length=2)
    default: Name | None = None

    @property
    def follows_edges(self) -> bool:
        return False

    def own_exits(self) -> list[Branch] | None:
        return self.branches

    def own_targets(self) -> list[str]:
        return list(self.choices or {})


def build(spec: RouteSpec, scope: CompileScope) -> CompiledNode:
    if (spec.branches is None) == (spec.choices is None):
        scope.problem("branches", "give `branches` with conditions, or `choices` for a model.")
    if spec.choices is None:
        return _build_by_expression(spec, scope)
    if spec.prompt is None:
        scope.problem("prompt", "is required: what the model chooses by.")
    if spec.default is not None and spec.default not in spec.choices:
        scope.problem("default", f"'{spec.default}' is none of the choices.")
    listed = "\n".join(f"- {name}: {words}" for name, words in spec.choices.items())
    schema = OutputSchema(_choice_schema(list(spec.choices)))
    inputs = scope.optional(model=spec.model, system=spec.system, prompt=spec.prompt)

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        system = "\n\n".join(part for part in (inputs.get("system"), INSTRUCTION + listed) if part)
        choice = await _choose({**inputs, "system": system}, context, schema, spec.default)
        context.emit("progress", choice=choice)
        return {"choice": choice, NEXT_PART: choice}

    return CompiledNode(inputs, run)


def _build_by_expression(spec: RouteSpec, scope: CompileScope) -> CompiledNode:
    """Build a node without work: its branches are exits of the flow, tried by the router."""
    for field in ("save", "prompt", "system", "default"):
        if getattr(spec, field) is not None:
            scope.problem(field, "belongs to `choices`, not to `branches`.")

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        return {}

    return CompiledNode({}, run)


async def _choose(
    inputs: dict[str, Any], context: NodeContext, schema: OutputSchema, default: str | None
) -> str:
    try:
        answer = await answer_in_json(inputs, context, schema, REPAIRS)
    except Unavailable as error:
        if default is None or error.code not in DEFAULT_CODES:
            raise
        context.emit("warning", code=error.code, message=error.public_message, handled="default")
        return default
    return str(answer["parsed"]["choice"])


def _choice_schema(choices: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"choice": {"enum": choices}},
        "required": ["choice"],
    }


ROUTE = NodeType(RouteSpec, build, {"choice": "string"}, "choice", model_task="chat")
