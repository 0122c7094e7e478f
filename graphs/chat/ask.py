"""One answer of a chat model: lease it, stream what it writes, give it back.

Owns the lease of a chat model within a step, the events `token` and `thinking`, and what of an
answer is no answer. What is sent is `messages`', what becomes of the answer `answers`'. Invariants:
a model is leased for one answer alone, so a tool that is called between two answers can load
another model; thinking is in no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.constants import TAG_NOSTREAM

from config.errors import MotetError, Unavailable
from graphs.chat.context_fitting import stream_fitted
from graphs.chat.foreign import remove_marks
from graphs.chat.picture_filter import link_pictures
from graphs.chat.token_events import TokenEvents
from graphs.compile.node import NodeContext
from models.capabilities.chat import PromptCacher
from models.capabilities.prompt_progress import PromptProgress
from models.lease import MODEL_LOST
from models.output.answer_reader import AnswerReader
from models.output.messages import (
    THINKING,
    Cut,
    cut_of,
    finish_message,
    finish_reason,
    join_chunks,
    thinking_of,
)

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

BoundChat: TypeAlias = Runnable[Any, Any]
"""A chat model, with tools or a format bound to it or without."""
CUTS: Mapping[Cut, str] = {
    "length": "stopped at its bound of tokens: its answer is not whole.",
    "repetition": "went round in circles and was stopped.",
}
"""What a model did whose answer was cut."""


@dataclass(frozen=True)
class Answer:
    """What a model answered. `message` has its text and its calls of tools."""

    message: AIMessage
    thinking: str = ""
    cut: Cut = ""


async def ask(
    context: NodeContext,
    model: str,
    messages: Sequence[BaseMessage],
    bind: Callable[[BaseChatModel], BoundChat] = lambda chat: chat,
    *,
    withheld: Sequence[Mapping[str, Any]] = (),
    sampling: Mapping[str, Any] | None = None,
    on_lost: Callable[[], None] = lambda: None,
) -> Answer:
    """Ask a model for one whole answer; the run's readers get its tokens as they come.

    Waits for the model to be loaded. What of the messages does not fit the model's context is left
    out, as `context_window` says, and readers are told. `bind` binds tools or a format to the
    leased model; calls of `withheld` tools, which are not bound, are found in the text too.
    `sampling` says how it writes, in the words of `models.capabilities.sampling`. `on_lost` is
    called before a model that was lost is asked, and bound, again. What a reader's screen would
    load from elsewhere is linked, in the tokens as in the answer. Cancelling ends the model's work
    and the lease. Raises as leasing does, and `Unavailable`
    (`response_empty`, `only_thinking`, `needs_vision_model`).
    """

    def forward_event(event: Mapping[str, Any]) -> None:
        # "ready" says that the lease begins; the tokens that follow show that.
        if event.get("phase") != "ready":
            context.emit("model", **event)

    models, tenant, addresses = context.run.models, context.run.tenant, context.addresses
    chunks: list[BaseMessage] = []
    name, lost = model, False
    async for attempt in models.attempts(model, "chat", tenant=tenant, on_event=forward_event):
        if lost:
            on_lost()
        async with attempt as lease:
            _check_vision(lease.chat, messages, model)
            tokens = TokenEvents(context, addresses)
            reader = _WithheldReader(withheld)
            config = _silent(context.config)
            bound = bind(lease.chat)
            if options := {**(sampling or {}), **_scope_fields(lease.chat, tenant)}:
                bound = bound.bind(**options)
            stream = stream_fitted(bound, lease.chat, messages, config, context)
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    if isinstance(piece, PromptProgress):
                        _tell_progress(piece, context)
                        continue
                    attempt.keep()  # readers have its beginning: a second answer would follow it
                    for chunk in reader.read(piece):
                        tokens.send(chunk)
                        chunks.append(chunk)
            tokens.send_rest()
            name = lease.model.name
        lost = attempt.failed is not None and attempt.failed.code in MODEL_LOST
    answer = _finish(join_chunks(chunks), name, context)
    _warn_of_cut(answer, context)
    _check_content(answer)
    return answer


def _scope_fields(chat: BaseChatModel, tenant: str) -> Mapping[str, Any]:
    """Return the options by which what a model reads of a prompt serves this tenant alone."""
    return chat.scope_fields(tenant) if isinstance(chat, PromptCacher) else {}


def _tell_progress(progress: PromptProgress, context: NodeContext) -> None:
    context.emit("progress", read_tokens=progress.processed, prompt_tokens=progress.total)


class _WithheldReader:
    """Finds calls of tools that were not bound to the model."""

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self._reader = AnswerReader(tools) if tools else None

    def read(self, chunk: BaseMessage) -> Iterable[BaseMessage]:
        if self._reader is None or not isinstance(chunk, AIMessageChunk):
            return (chunk,)
        return self._reader.read(chunk, finish_reason(chunk.response_metadata))


def _finish(message: AIMessage, model: str, context: NodeContext) -> Answer:
    message = finish_message(message)
    addresses = context.addresses
    if not answering_model(message):  # as of an answer that was stopped
        message.response_metadata["model_name"] = model
    extra = {key: item for key, item in message.additional_kwargs.items() if key != THINKING}
    text = link_pictures(remove_marks(str(message.text), context.mark), addresses)
    return Answer(
        message.model_copy(update={"content": text, "additional_kwargs": extra}),
        link_pictures(remove_marks(thinking_of(message).strip(), context.mark), addresses),
        cut_of(message),
    )


def _warn_of_cut(answer: Answer, context: NodeContext) -> None:
    if answer.cut:
        name = answering_model(answer.message)
        context.emit(
            "warning",
            code="response_cut" if answer.cut == "length" else "response_repeating",
            message=f"Model '{name}' {CUTS[answer.cut]}",
        )


def _check_content(answer: Answer) -> None:
    """Raise for an answer that says nothing."""
    message = answer.message
    if str(message.text).strip() or message.tool_calls or message.invalid_tool_calls:
        return
    name = answering_model(message)
    ending = f" It {CUTS[answer.cut]}" if answer.cut else ""
    details = {"model": name, "cut": answer.cut}
    if answer.thinking:
        raise Unavailable(
            f"Model '{name}' thought and gave no answer.{ending}",
            code="only_thinking",
            details=details,
        )
    raise Unavailable(
        f"Model '{name}' answered with nothing.{ending}", code="response_empty", details=details
    )


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
