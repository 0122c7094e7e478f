"""One answer of a chat model: lease it, stream what it writes, give it back.

Owns the lease of a chat model within a step, and the events `token`. What is sent is `messages`',
what becomes of the answer `answers`'. Invariant: a model is leased for one answer alone, so a tool
that is called between two answers can load another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    message_chunk_to_message,
)
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.constants import TAG_NOSTREAM

from config.errors import MotetError, Unavailable
from graphs.chat.context_fitting import stream_fitted
from graphs.chat.picture_filter import PictureFilter, link_pictures
from graphs.compile.node import NodeContext
from models.capabilities.prompt_progress import PromptProgress

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

BoundChat: TypeAlias = Runnable[Any, Any]
"""A chat model, with tools or a format bound to it or without."""


async def ask(
    context: NodeContext,
    model: str,
    messages: Sequence[BaseMessage],
    bind: Callable[[BaseChatModel], BoundChat] = lambda chat: chat,
) -> AIMessage:
    """Ask a model for one whole answer; the run's readers get its tokens as they come.

    Waits for the model to be loaded. What of the messages does not fit the model's context is left
    out, as `context_window` says, and readers are told. `bind` binds tools or a format to the
    leased model. What a reader's screen would load from elsewhere is linked, in the tokens as in
    the answer. Cancelling ends the model's work and the lease. Raises as leasing does, and
    `Unavailable` (`response_empty`, `needs_vision_model`).
    """

    def forward_event(event: Mapping[str, Any]) -> None:
        # "ready" says that the lease begins; the tokens that follow show that.
        if event.get("phase") != "ready":
            context.emit("model", **event)

    models, tenant, addresses = context.run.models, context.run.tenant, context.addresses
    whole: BaseMessage | None = None
    async for attempt in models.attempts(model, "chat", tenant=tenant, on_event=forward_event):
        async with attempt as lease:
            _check_vision(lease.chat, messages, model)
            tokens = _Tokens(context, PictureFilter(addresses))
            config = _silent(context.config)
            stream = stream_fitted(bind(lease.chat), lease.chat, messages, config, context)
            async with aclosing(stream) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, PromptProgress):
                        context.emit(
                            "progress", read_tokens=chunk.processed, prompt_tokens=chunk.total
                        )
                        continue
                    attempt.keep()  # readers have its beginning: a second answer would follow it
                    tokens.send(chunk)
                    whole = chunk if whole is None else whole + chunk
            tokens.send_rest()
    if whole is None:
        raise Unavailable(f"Model '{model}' answered with nothing.", code="response_empty")
    answer = message_chunk_to_message(whole) if isinstance(whole, AIMessageChunk) else whole
    answer = answer if isinstance(answer, AIMessage) else AIMessage(answer.content)
    linked = link_pictures(str(answer.text), addresses)
    return answer if linked == answer.text else answer.model_copy(update={"content": linked})


@dataclass
class _Tokens:
    """Sends one message's text to the run's readers, piece by piece."""

    context: NodeContext
    filter: PictureFilter
    message_id: str | None = None

    def send(self, chunk: BaseMessage) -> None:
        self.message_id = chunk.id or self.message_id
        self._emit(self.filter.feed(str(chunk.text)))

    def send_rest(self) -> None:
        self._emit(self.filter.close())

    def _emit(self, text: str) -> None:
        if text:
            self.context.emit("token", text=text, message=self.message_id)


def _silent(config: RunnableConfig) -> RunnableConfig:
    """Return a config whose chunks LangGraph does not stream as they are."""
    return {**config, "tags": [*(config.get("tags") or ()), TAG_NOSTREAM]}


def answering_model(message: AIMessage) -> str:
    """Return the name of the model that gave an answer; empty where the model does not say."""
    metadata = message.response_metadata
    return str(metadata.get("model_name") or metadata.get("model") or "")


def _check_vision(chat: BaseChatModel, messages: Sequence[BaseMessage], model: str) -> None:
    """Refuse to show a picture to a model that is known to see none."""
    shows_picture = any(isinstance(message.content, list) for message in messages)
    profile = getattr(chat, "profile", None) or {}
    if shows_picture and profile.get("image_inputs") is False:
        raise _vision_unsupported(model)


def _vision_unsupported(model: str) -> MotetError:
    return Unavailable(
        f"'{model}' stands for a chat model that cannot see pictures. Name one that can, as in "
        "`model: ollama/qwen3-vl`, or use a `caption` node.",
        code="needs_vision_model",
        details={"field": "images"},
        permanent=True,
    )
