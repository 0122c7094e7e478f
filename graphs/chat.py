"""Talking with a chat model: lease it, stream its answer, give the model back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langchain_core.runnables import Runnable

from config.errors import Invalid, MotetError, NotFound, Unavailable
from graphs.compile.node import NodeContext
from graphs.grounding.citations import question_of
from graphs.templates.sandbox import written

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Prepared: TypeAlias = Runnable[Any, Any]


async def ask(
    call: NodeContext,
    model: str,
    messages: Sequence[BaseMessage],
    prepare: Callable[[BaseChatModel], Prepared] = lambda chat: chat,
) -> AIMessage:
    """The model's whole answer, streamed to the run's readers while it comes.

    `prepare` binds tools or a format to the leased model. The model is leased for this answer
    alone, so that what happens between answers may use other models.
    """

    def told(event: Mapping[str, Any]) -> None:
        if event.get("phase") != "ready":
            call.emit("model", **event)

    tenant = call.context.tenant
    lease_ = call.context.models.lease(model, "chat", tenant=tenant, on_event=told)
    async with lease_ as lease:
        whole: BaseMessage | None = None
        _check_sight(lease.chat, messages, model)
        async for chunk in prepare(lease.chat).astream(list(messages), call.config):
            whole = chunk if whole is None else whole + chunk
    if whole is None:
        raise Unavailable(f"Model '{model}' answered with nothing.", code="response_empty")
    answer = message_chunk_to_message(whole) if isinstance(whole, AIMessageChunk) else whole
    return answer if isinstance(answer, AIMessage) else AIMessage(answer.content)


def conversation(inputs: Mapping[str, Any], call: NodeContext) -> list[BaseMessage]:
    """The messages of a node's `system`, `messages` and `prompt`.

    The last carries what the prompt cites, apart from its text: the embedded reader, which
    follows no instructions, reads it from there.
    """
    messages: list[BaseMessage] = []
    if system := _text(inputs.get("system")):
        messages.append(SystemMessage(system))
    messages += past(inputs.get("messages"))
    if (prompt := _text(inputs.get("prompt"))) or not messages:
        messages.append(HumanMessage(prompt))
    cited = call.render.cited
    if cited and isinstance(messages[-1], HumanMessage):
        asked = question_of(str(messages[-1].content), [block for block, _ in cited])
        passages = [passage for _, found in cited for passage in found]
        messages[-1].additional_kwargs["motet"] = {"question": asked, "passages": passages}
    return messages


async def with_pictures(
    messages: list[BaseMessage], images: Any, call: NodeContext
) -> list[BaseMessage]:
    """The messages, the last of them with pictures: one, or a list, as tools take them."""
    named = images if isinstance(images, list) else [images]
    named = [each for each in named if each not in (None, "")]
    if not named:
        return messages
    if call.context.picture is None:
        raise Unavailable(
            "Pictures cannot be read here.", code="pictures_unavailable", permanent=True
        )
    urls = [await call.context.picture(each, "images", call.context.tenant) for each in named]
    seen = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content: list[Any] = [{"type": "text", "text": str(messages[-1].text)}, *seen]
    return [*messages[:-1], messages[-1].model_copy(update={"content": content})]


def _check_sight(chat: BaseChatModel, messages: Sequence[BaseMessage], model: str) -> None:
    """Raise where a model is known to see nothing and is shown a picture."""
    shown = any(isinstance(message.content, list) for message in messages)
    profile = getattr(chat, "profile", None) or {}
    if shown and profile.get("image_inputs") is False:
        raise vision_unsupported(model)


def vision_unsupported(model: str) -> MotetError:
    return Unavailable(
        f"'{model}' stands for a chat model that cannot see pictures. Name one that can, as in "
        "`model: ollama/qwen3-vl`, or use a `caption` node.",
        code="needs_vision_model",
        details={"field": "images"},
        permanent=True,
    )


async def with_thresholds(messages: list[BaseMessage], call: NodeContext) -> list[BaseMessage]:
    """The messages, told from which score on the indexes of what they cite hold an answer.

    Of several indexes, the strictest counts. Indexes that were not calibrated say nothing.
    """
    told = messages[-1].additional_kwargs.get("motet")
    names = (
        {str(passage["index"]) for passage in told["passages"] if passage.get("index")}
        if told
        else ()
    )
    known = [await _threshold(name, call) for name in sorted(names)]
    if told and (values := [value for value in known if value is not None]):
        told["threshold"] = max(values)
    return messages


async def _threshold(name: str, call: NodeContext) -> float | None:
    try:
        index = await call.context.indexes.get(name, call.context.tenant)
        found = await index.get_threshold()
    except (NotFound, Invalid):  # the passages may come from elsewhere
        return None
    return None if found is None else float(found.value)


def past(value: Any) -> list[BaseMessage]:
    """A state's messages as LangChain's. Raises `Invalid` where they are none."""
    items = value if isinstance(value, list | tuple) else [value] if value else []
    try:
        return list(convert_to_messages(items))
    except (ValueError, NotImplementedError, TypeError, KeyError) as error:
        raise Invalid(f"These are no chat messages: {error}", code="invalid_messages") from error


def model_of(message: AIMessage) -> str:
    """The name of the model that gave an answer, as far as it told."""
    told = message.response_metadata
    return str(told.get("model_name") or told.get("model") or "")


def _text(value: Any) -> str:
    return str(written(value)).strip()
