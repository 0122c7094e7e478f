"""What is sent to a chat model: a node's fields as messages, with pictures and cited passages.

Owns `additional_kwargs["motet"]` of the last message: question, passages and threshold, from which
the embedded reader (`models.backends.reader`) answers, because it follows no instructions in prose.
Other chat models ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import (
    BaseMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)

from config.errors import Invalid, NotFound, Unavailable
from graphs.compile.node import NodeContext
from graphs.grounding.citations import question_of
from graphs.templates.plain import write_value


def build_messages(inputs: Mapping[str, Any], context: NodeContext) -> list[BaseMessage]:
    """Build the messages of a node's `system`, `messages` and `prompt`, with what it cites.

    Raises `Invalid` (`invalid_messages`).
    """
    messages: list[BaseMessage] = []
    if system := _text(inputs.get("system")):
        messages.append(SystemMessage(system))
    messages += to_messages(inputs.get("messages"))
    if (prompt := _text(inputs.get("prompt"))) or not messages:
        messages.append(HumanMessage(prompt))
    cited = context.rendering.cited
    if cited and isinstance(messages[-1], HumanMessage):
        question = question_of(str(messages[-1].content), [block for block, _ in cited])
        passages = [passage for _, block_passages in cited for passage in block_passages]
        messages[-1].additional_kwargs["motet"] = {"question": question, "passages": passages}
    return messages


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
    read = context.run.read_picture
    if read is None:
        raise Unavailable(
            "Pictures cannot be read here.", code="pictures_unavailable", permanent=True
        )
    urls = [await read(each, "images", context.run.tenant) for each in references]
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


def to_messages(value: Any) -> list[BaseMessage]:
    """Convert a state's messages to LangChain's. Raises `Invalid` (`invalid_messages`)."""
    items = value if isinstance(value, list | tuple) else [value] if value else []
    try:
        return list(convert_to_messages(items))
    except (ValueError, NotImplementedError, TypeError, KeyError) as error:
        raise Invalid(f"These are no chat messages: {error}", code="invalid_messages") from error


def _text(value: Any) -> str:
    return str(write_value(value)).strip()
