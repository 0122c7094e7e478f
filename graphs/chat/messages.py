"""What is sent to a chat model: a node's fields as messages, with pictures and cited passages.

Owns `additional_kwargs["motet"]` of the last message: question, passages and threshold, from which
the embedded reader (`models.backends.reader`) answers, because it follows no instructions in prose.
Other chat models ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from config.errors import Invalid, NotFound
from graphs.chat.conversation import read_picture, take_over, to_messages
from graphs.chat.foreign import NOTE, mark_foreign
from graphs.compile.node import NodeContext
from graphs.grounding.citations import question_of
from graphs.templates.plain import write_value


async def build_messages(
    inputs: Mapping[str, Any], context: NodeContext, *, trust_system: bool = False
) -> list[BaseMessage]:
    """Build the messages of a node's `system`, `messages` and `prompt`, with what it cites.

    What is cited stands between marks, as text of others. Messages of the conversation are taken
    over as `take_over` says. Raises `Invalid` (`invalid_messages`), and as reading pictures does.
    """
    messages: list[BaseMessage] = []
    if system := _text(inputs.get("system")):
        messages.append(SystemMessage(system))
    conversation = to_messages(inputs.get("messages"))
    if any(isinstance(each, AIMessage | ToolMessage) for each in conversation):
        context.exposure.read_private()
    own = len(messages)
    messages += [await take_over(each, context, trust_system) for each in conversation]
    if (prompt := _text(inputs.get("prompt"))) or not messages:
        messages.append(HumanMessage(prompt))
    cited = context.rendering.cited
    if cited and isinstance(messages[-1], HumanMessage):
        question = question_of(str(messages[-1].content), [block for block, _ in cited])
        messages[-1].additional_kwargs["motet"] = {
            "question": question.text,
            "is_question": question.is_question,
            "passages": [passage for _, block_passages in cited for passage in block_passages],
        }
    blocks = [*(block for block, _ in cited), *context.rendering.foreign]
    if not blocks:
        return messages
    ours = [*messages[:own], *messages[own + len(conversation) :]]
    _mark_blocks(ours, list(filter(None, blocks)), context.mark)
    return add_to_system(messages, NOTE)


def _mark_blocks(messages: Sequence[BaseMessage], blocks: Sequence[str], mark: str) -> None:
    for block in blocks:
        for message in messages:
            if block in str(message.content):
                marked = mark_foreign(block, mark)
                message.content = str(message.content).replace(block, marked, 1)
                break


def add_to_system(messages: list[BaseMessage], text: str) -> list[BaseMessage]:
    """Return the messages with one more paragraph in the system message, which may be new."""
    if isinstance(messages[0], SystemMessage):
        return [SystemMessage(f"{messages[0].text}\n\n{text}"), *messages[1:]]
    return [SystemMessage(text), *messages]


async def attach_pictures(
    messages: list[BaseMessage], images: Any, context: NodeContext
) -> list[BaseMessage]:
    """Add pictures to the last message: one, or a list, named as tools take them.

    Reads artifacts, and fetches URLs from public addresses. Raises `Unavailable`
    (`pictures_unavailable`) where the run's context reads none, and as reading does.
    """
    references = images if isinstance(images, list) else [images]
    references = [each for each in references if each not in (None, "")]
    if not references:
        return messages
    urls = [await read_picture(each, "images", context) for each in references]
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content: list[Any] = [{"type": "text", "text": str(messages[-1].text)}, *pictures]
    return [*messages[:-1], messages[-1].model_copy(update={"content": content})]


async def attach_threshold(messages: list[BaseMessage], context: NodeContext) -> list[BaseMessage]:
    """Add to the last message from which score on the cited indexes hold an answer.

    Of several indexes, the strictest counts. Indexes that were not calibrated say nothing.
    """
    evidence = messages[-1].additional_kwargs.get("motet")
    if not evidence:
        return messages
    names = {str(passage["index"]) for passage in evidence["passages"] if passage.get("index")}
    thresholds = [await _threshold(name, context) for name in sorted(names)]
    if values := [value for value in thresholds if value is not None]:
        evidence["threshold"] = max(values)
    return messages


async def _threshold(name: str, context: NodeContext) -> float | None:
    try:
        index = await context.run.indexes.get(name, context.run.tenant)
        threshold = await index.get_threshold()
    except (NotFound, Invalid):  # the passages may come from elsewhere
        return None
    return None if threshold is None else float(threshold.value)


def _text(value: Any) -> str:
    return str(write_value(value)).strip()
