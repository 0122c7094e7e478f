"""`condense`: keep the last messages of a conversation, and a summary of those before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import (
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately, get_buffer_string
from pydantic import Field

from graphs.chat.ask import answering_model, ask
from graphs.chat.conversation import to_messages
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec

PARTS: dict[str, Type] = {
    "messages": "any",
    "summary": "string",
    "removed": "integer",
    "model": "string",
}
MAX_MESSAGE_CHARS = 4_000
"""Of one message that is summed up: a tool's long result says little more than its beginning."""
MAX_SUMMED_CHARS = 60_000
"""Of all that is summed up at once, the latest: more would not fit a small model."""
INSTRUCTION = (
    "Sum up this conversation, so that it can go on without its beginning: what the person wants, "
    "what was found out and decided, names, numbers and addresses, and what is open. Write the "
    "summary alone, in the language of the conversation."
)
HEADING = "Summary of the conversation until here:"


class CondenseSpec(NodeSpec):
    """Removes the older messages of a conversation, or puts a summary in their place."""

    type: Literal["condense"]
    messages: str = Field("{{ messages }}", description="The conversation.")
    keep: int = Field(20, ge=1, description="How much of its end stays, counted as `unit` says.")
    over: int | None = Field(
        None, ge=1, description="From more than so much on it is condensed; default: from `keep`."
    )
    unit: Literal["messages", "tokens"] = "messages"
    summarize: bool = Field(True, description="Whether a model sums up what is removed.")
    model: str = Field("chat", description="A role, a model's name, or `ollama/<tag>`.")
    instruction: str | None = Field(None, description="How to sum up, instead of our words.")


def build(spec: CondenseSpec, scope: CompileScope) -> CompiledNode:
    if spec.over is not None and spec.over < spec.keep:
        scope.problem("over", "must not be less than `keep`.")
    inputs = scope.optional(
        messages=spec.messages, model=spec.model, instruction=spec.instruction or INSTRUCTION
    )

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        messages = to_messages(inputs["messages"])
        older = find_older(messages, spec.keep, spec.over or spec.keep, spec.unit)
        if not older:
            return {"messages": [], "summary": "", "removed": 0, "model": ""}
        if not spec.summarize:
            return {"messages": remove(older), "summary": "", "removed": len(older), "model": ""}
        text = _write_for_summary(older, context)
        request = [SystemMessage(str(inputs["instruction"])), HumanMessage(text)]
        answer = await ask(context, str(inputs["model"]), request)
        summary = str(answer.text).strip()
        return {
            "messages": replace(older, summary),
            "summary": summary,
            "removed": len(older),
            "model": answering_model(answer),
        }

    return CompiledNode(inputs, run)


def find_older(
    messages: Sequence[BaseMessage], keep: int, over: int, unit: Literal["messages", "tokens"]
) -> list[BaseMessage]:
    """Return what stands before the end that is kept; nothing while there is not more than `over`.

    The end begins with a message that a person wrote, so that no tool's result loses its call; the
    last such message is kept with all behind it, however long that is.
    """
    count = len if unit == "messages" else count_tokens_approximately
    if count(messages) <= over:
        return []
    tail = trim_messages(
        list(messages), max_tokens=keep, token_counter=count, strategy="last", start_on="human"
    )
    first = len(messages) - len(tail)
    if not tail:
        people = [n for n, each in enumerate(messages) if isinstance(each, HumanMessage)]
        first = people[-1] if people else max(0, len(messages) - keep)
    return list(messages[:first])


def remove(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Write what removes messages from a channel of that type."""
    return [RemoveMessage(id=each.id) for each in messages if each.id]


def replace(messages: Sequence[BaseMessage], summary: str) -> list[BaseMessage]:
    """Write what puts a summary in the place of messages."""
    # A message with a known id takes that one's place: before those that stay.
    text = HumanMessage(f"{HEADING}\n\n{summary}", id=messages[0].id)
    return [text, *remove(messages[1:])]


def _write_for_summary(messages: Sequence[BaseMessage], context: NodeContext) -> str:
    """Write messages as text for the model, shortened where they are long; a warning tells."""
    whole = [get_buffer_string([each]) for each in messages]
    text = "\n".join(each[:MAX_MESSAGE_CHARS] for each in whole)[-MAX_SUMMED_CHARS:]
    length = len("\n".join(whole))
    if len(text) < length:
        context.emit(
            "warning",
            code="summary_incomplete",
            message=f"The summary is made of {len(text):,} of {length:,} characters.",
        )
    return text


CONDENSE = NodeType(CondenseSpec, build, PARTS, "messages", model_task="chat")
