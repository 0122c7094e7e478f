"""`text`: ask a chat model, for plain text or for JSON that fits a schema."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from graphs.chat.answers import OnCut, answer_in_json, answer_in_text
from graphs.chat.output_schema import OutputSchema
from graphs.chat.sampling import SamplingSpec, compile_sampling
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.grounding.citations import Unsupported
from graphs.spec.channel_types import Type

PARTS: dict[str, Type] = {
    "text": "string",
    "parsed": "any",
    "citations": "list",
    "checks": "list",
    "message": "any",
    "model": "string",
    "thinking": "string",
    "cut": "string",
    "refused": "boolean",
    "score": "number",
}


class TextSpec(SamplingSpec):
    """Asks a chat model. `save: channel` saves the text, or with a schema the parsed value."""

    type: Literal["text"]
    model: str = Field("chat", description="A role, a model's name, or `ollama/<tag>`.")
    system: str | None = None
    messages: str | None = Field(None, description="A conversation that stands before the prompt.")
    trust_system: bool = Field(
        False, description="Whether system messages of the conversation count as one's own."
    )
    prompt: str | None = None
    images: str | list[JsonValue] | None = Field(
        None, description="Pictures that the model sees beside the prompt."
    )
    answer_schema: dict[str, JsonValue] | None = Field(
        None, alias="schema", description="The JSON schema of the answer."
    )
    repairs: int = Field(2, ge=0, le=10, description="How often a wrong answer may be mended.")
    unsupported: Unsupported = Field(
        "mark", description="What becomes of sentences that the passages they cite do not say."
    )
    on_cut: OnCut = Field(
        "keep",
        description="What becomes of a text that is not whole: `trim` ends it at a sentence.",
    )


def build(spec: TextSpec, scope: CompileScope) -> CompiledNode:
    if spec.prompt is None and spec.messages is None:
        scope.problem("prompt", "is required, or `messages`.")
    schema = None if spec.answer_schema is None else OutputSchema(spec.answer_schema)
    if schema and (problem := schema.problem()):
        scope.problem("schema", problem)
    inputs = scope.optional(
        model=spec.model,
        system=spec.system,
        messages=spec.messages,
        prompt=spec.prompt,
        images=spec.images,
    )
    inputs |= compile_sampling(spec, scope)

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        if schema is None:
            return await answer_in_text(
                inputs,
                context,
                spec.unsupported,
                trust_system=spec.trust_system,
                on_cut=spec.on_cut,
            )
        return await answer_in_json(
            inputs, context, schema, spec.repairs, trust_system=spec.trust_system
        )

    return CompiledNode(inputs, run)


def _main_part(spec: TextSpec) -> str:
    return "text" if spec.answer_schema is None else "parsed"


TEXT = NodeType(TextSpec, build, PARTS, _main_part, model_task="chat")
