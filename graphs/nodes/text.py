"""`text`: ask a chat model, for plain text or for JSON that fits a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableSequence
from pydantic import Field, JsonValue

from config.errors import Unavailable
from graphs.chat import Prepared, ask, conversation, model_of, with_pictures, with_thresholds
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.compile.state import Type
from graphs.grounding.checking import checked, weighed
from graphs.grounding.citations import Unsupported
from graphs.grounding.claims import refuses
from graphs.spec.parts import NodeSpec
from graphs.structured import OutputSchema

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PARTS: dict[str, Type] = {
    "text": "string",
    "parsed": "any",
    "citations": "list",
    "checks": "list",
    "message": "any",
    "model": "string",
    "refused": "boolean",
    "score": "number",
}


class TextSpec(NodeSpec):
    """Asks a chat model. `save: channel` saves the text, or with a schema the parsed value."""

    type: Literal["text"]
    model: str = Field("chat", description="A role, a model's name, or `ollama/<tag>`.")
    system: str | None = None
    messages: str | None = Field(None, description="A conversation that stands before the prompt.")
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


def build(spec: TextSpec, scope: CompileScope) -> CompiledNode:
    if spec.prompt is None and spec.messages is None:
        scope.problem("prompt", "is required, or `messages`.")
    shape = None if spec.answer_schema is None else OutputSchema(spec.answer_schema)
    if shape and (wrong := shape.problem()):
        scope.problem("schema", wrong)
    inputs = scope.optional(
        model=spec.model,
        system=spec.system,
        messages=spec.messages,
        prompt=spec.prompt,
        images=spec.images,
    )

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        if shape is None:
            return await answer_plainly(inputs, call, spec.unsupported)
        return await answer_in_shape(inputs, call, shape, spec.repairs)

    return CompiledNode(inputs, run)


async def answer_plainly(
    inputs: dict[str, Any], call: NodeContext, unsupported: Unsupported
) -> dict[str, Any]:
    asked = await with_pictures(conversation(inputs, call), inputs.get("images"), call)
    messages = await with_thresholds(asked, call)
    message = await ask(call, str(inputs["model"]), messages)
    parts = await parts_of(message, call, unsupported)
    if parts["score"] is None and not parts["refused"]:
        parts["score"] = await weighed(messages[-1].additional_kwargs.get("motet"), call)
    return parts


async def parts_of(
    message: AIMessage,
    call: NodeContext,
    unsupported: Unsupported = "mark",
    *,
    uncited: bool = True,
) -> dict[str, Any]:
    """An answer's parts, checked against the passages that the prompt cites."""
    told = message.response_metadata
    passages = [passage for _, found in call.render.cited for passage in found]
    text = str(message.text)
    parts: dict[str, Any] = {
        "text": text,
        "parsed": None,
        "citations": [],
        "checks": [],
        "message": message,
        "model": model_of(message),
        "refused": bool(told.get("refused")),
        "score": told.get("score"),
    }
    if not passages:
        return parts
    spans = told.get("citations")
    answer = await checked(text, passages, spans, unsupported, call, uncited=uncited)
    if answer.text != text:
        message = message.model_copy(update={"content": answer.text})
    return {
        **parts,
        "text": answer.text,
        "citations": answer.citations,
        "checks": answer.checks,
        "message": message,
        "refused": parts["refused"] or refuses(answer.text),
    }


async def answer_in_shape(
    inputs: dict[str, Any], call: NodeContext, shape: OutputSchema, repairs: int
) -> dict[str, Any]:
    """Ask until the answer fits the schema, telling the model what was wrong, `repairs` times."""
    asked = await with_pictures(conversation(inputs, call), inputs.get("images"), call)
    messages = _instructed(asked, shape.instruction())
    for attempt in range(repairs + 1):
        message = await ask(call, str(inputs["model"]), messages, lambda chat: _shaped(chat, shape))
        try:
            parsed = shape.parse(str(message.text))
        except ValueError as error:
            wrong = str(error)
        else:
            return {**await parts_of(message, call, "keep"), "parsed": parsed}
        call.emit("progress", repair=attempt + 1, message=f"The answer does not fit: {wrong}")
        messages = [*messages, *_mend(message, wrong)]
    raise Unavailable(
        f"'{model_of(message) or inputs['model']}' did not answer in the form asked for, after "
        f"{repairs} repairs: {wrong}",
        code="structured_output_invalid",
        details={"answer": str(message.text)[:2000], "reason": wrong},
        permanent=True,
    )


def _instructed(messages: list[BaseMessage], instruction: str) -> list[BaseMessage]:
    if isinstance(messages[0], SystemMessage):
        return [SystemMessage(f"{messages[0].text}\n\n{instruction}"), *messages[1:]]
    return [SystemMessage(instruction), *messages]


def _mend(message: AIMessage, wrong: str) -> Sequence[BaseMessage]:
    said = AIMessage(str(message.text) or "(nothing)")
    return said, HumanMessage(f"That does not fit: {wrong}\nAnswer again, with the JSON only.")


def _shaped(chat: BaseChatModel, shape: OutputSchema) -> Prepared:
    """The model bound to the schema by its own means, where it has any."""
    try:
        bound = chat.with_structured_output(shape.titled(), method="json_schema")
    except (NotImplementedError, TypeError, ValueError):
        return chat
    # Only the binding is wanted, not the parser behind it: the answer is judged here, for every
    # model alike. (With `include_raw` the request would outlive its cancellation.)
    return bound.first if isinstance(bound, RunnableSequence) else chat


TEXT = NodeType(
    TextSpec, build, PARTS, lambda spec: "text" if spec.answer_schema is None else "parsed"
)
