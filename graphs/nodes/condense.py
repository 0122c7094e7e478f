"""`condense`: keep the end of a conversation, and a summary of what stands before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    trim_messages,
)
from langchain_core.messages.utils import get_buffer_string
from pydantic import Field

from graphs.chat.ask import Answer, answering_model, ask
from graphs.chat.conversation import SUMMARY_HEADING, to_messages
from graphs.chat.foreign import NOTE, mark_foreign
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec
from models.text.sentences import end_at_sentence
from models.text.tokens import estimate_message, estimate_tokens

PARTS: dict[str, Type] = {
    "messages": "any",
    "summary": "string",
    "removed": "integer",
    "model": "string",
}
MAX_MESSAGE_CHARS = 4_000
"""Of one message that is summed up: a tool's long result says little more than its beginning."""
SUMMED_TOKENS = 3_000
"""What is summed up at once, which fits small models. What is longer is summed up part by part,
each with the summary of those before it."""
INSTRUCTION = (
    "Sum up this conversation, so that it can go on without its beginning: what the person wants, "
    "what was found out and decided, names, numbers and addresses, and what is open. Write the "
    "summary alone, in the language of the conversation."
)


class CondenseSpec(NodeSpec):
    """Removes the older messages of a conversation, or puts a summary in their place."""

    type: Literal["condense"]
    messages: str = Field("{{ messages }}", description="The conversation.")
    keep: int = Field(4000, ge=1, description="How much of its end stays, counted as `unit` says.")
    over: int | None = Field(
        None, ge=1, description="From more than so much on it is condensed; default: from `keep`."
    )
    unit: Literal["tokens", "messages"] = "tokens"
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
        answer = await _sum_up(older, inputs, context)
        summary = _text_of(answer)
        return {
            "messages": replace(older, summary),
            "summary": summary,
            "removed": len(older),
            "model": answering_model(answer.message),
        }

    return CompiledNode(inputs, run)


def find_older(
    messages: Sequence[BaseMessage], keep: int, over: int, unit: Literal["messages", "tokens"]
) -> list[BaseMessage]:
    """Return what stands before the end that is kept; nothing while there is not more than `over`.

    The end begins with a message that a person wrote, so that no tool's result loses its call; the
    last such message is kept with all behind it, however long that is.
    """
    count = len if unit == "messages" else _count_tokens
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


def _count_tokens(messages: Sequence[BaseMessage]) -> int:
    return sum(map(estimate_message, messages))


def remove(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Write what removes messages from a channel of that type."""
    return [RemoveMessage(id=each.id) for each in messages if each.id]


def replace(messages: Sequence[BaseMessage], summary: str) -> list[BaseMessage]:
    """Write what puts a summary in the place of messages."""
    # A message with a known id takes that one's place: before those that stay.
    text = HumanMessage(f"{SUMMARY_HEADING}\n\n{summary}", id=messages[0].id)
    return [text, *remove(messages[1:])]


async def _sum_up(
    messages: Sequence[BaseMessage], inputs: dict[str, Any], context: NodeContext
) -> Answer:
    """Ask for a summary, part by part where the messages are long; a warning tells of cut ones."""
    whole = [get_buffer_string([each]) for each in messages]
    texts = [each[:MAX_MESSAGE_CHARS] for each in whole]
    shown, length = sum(map(len, texts)), sum(map(len, whole))
    if shown < length:
        context.emit(
            "warning",
            code="summary_incomplete",
            message=f"The summary is made of {shown:,} of {length:,} characters.",
        )
    instruction = SystemMessage(f"{inputs['instruction']}\n\n{NOTE}")
    summary, answer = "", Answer(AIMessage(""))
    for part in _parts(texts):
        text = f"{SUMMARY_HEADING}\n\n{summary}\n\n{part}" if summary else part
        request = [instruction, HumanMessage(mark_foreign(text, context.mark))]
        answer = await ask(context, str(inputs["model"]), request)
        summary = _text_of(answer)
    return answer


def _text_of(answer: Answer) -> str:
    text = str(answer.message.text).strip()
    return end_at_sentence(text) if answer.cut else text


def _parts(texts: Sequence[str]) -> Iterator[str]:
    """Join texts to parts of about `SUMMED_TOKENS`."""
    part: list[str] = []
    tokens = 0
    for text in texts:
        size = estimate_tokens(text)
        if part and tokens + size > SUMMED_TOKENS:
            yield "\n".join(part)
            part, tokens = [], 0
        part.append(text)
        tokens += size
    yield "\n".join(part)


CONDENSE = NodeType(CondenseSpec, build, PARTS, "messages", model_task="chat")
