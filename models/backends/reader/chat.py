"""A chat model without a language model: it answers in sentences of the passages it is given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from models.backends.common.streaming_chat import FORMATS, AsyncChat
from models.backends.reader.evidence import ENOUGH, Evidence
from models.backends.reader.quoting import quote_windows
from models.backends.reader.weighing import weigh
from models.capabilities import Embed, Vectors
from models.fallbacks import NeedsModel
from models.refusal import HOW_TO_GET_LANGUAGE_MODEL, LANGUAGE_MODEL_COMMAND, REFUSAL

_WRITING_OPTIONS = ("tools", *FORMATS)


class EmbedLease(Protocol):
    @property
    def embed(self) -> Embed: ...


LeaseEmbed = Callable[[], AbstractAsyncContextManager[EmbedLease]]


class ReaderChat(AsyncChat):
    """Reads `additional_kwargs["motet"] = {"question", "passages"}` of the last human message,
    and its `threshold`, where there is one: the score from which it answers.

    Answers with the best windows of sentences, each sentence with the number of its passage, or
    that the documents do not say. The last chunk's `response_metadata` has `citations` (spans in
    the document's text), `refused` and `score`. Asked to write freely it raises `Unavailable`
    ("needs_language_model"). `lease_embed` lends the model that compares.
    """

    quotes: ClassVar[bool] = True
    name: str | None = "reader"
    _lease_embed: LeaseEmbed = PrivateAttr()

    def __init__(self, *, name: str, lease_embed: LeaseEmbed) -> None:
        super().__init__(name=name, profile={"image_inputs": False})
        self._lease_embed = lease_embed

    @property
    def _llm_type(self) -> str:
        return "motet-reader"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        raise needs_language_model("call tools")

    def bind_schema(self, schema: Mapping[str, Any]) -> Runnable[Any, Any]:
        raise needs_language_model("write JSON")

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        raise needs_language_model("write JSON")

    async def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        if any(options.get(key) for key in _WRITING_OPTIONS):
            raise needs_language_model("call tools or write JSON")
        question, passages, enough = _read_request(messages)
        evidence = await weigh(question, passages, self._embed, enough)
        for chunk in _write_answer(self.name or "reader", passages, evidence):
            yield chunk

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        async with self._lease_embed() as lease:
            return await lease.embed.embed(texts, urgent=True)


def needs_language_model(action: str) -> NeedsModel:
    """Return the refusal of the reader: what it cannot do, and how to get a model that can."""
    return NeedsModel(
        f"To {action} takes a language model; the embedded reader only quotes from passages.",
        HOW_TO_GET_LANGUAGE_MODEL,
        code="needs_language_model",
        hint=LANGUAGE_MODEL_COMMAND,
    )


def _read_request(messages: Sequence[BaseMessage]) -> tuple[str, list[Mapping[str, Any]], float]:
    """Read question, passages and threshold of the last human message.

    Raises `Unavailable` without passages.
    """
    humans = [message for message in messages if isinstance(message, HumanMessage)]
    request = humans[-1].additional_kwargs.get("motet") if humans else None
    if not isinstance(request, Mapping) or request.get("passages") is None:
        raise needs_language_model("write freely")
    enough = float(request.get("threshold", ENOUGH))
    return str(request.get("question") or ""), list(request["passages"]), enough


def _write_answer(
    model: str, passages: Sequence[Mapping[str, Any]], evidence: Evidence | None
) -> Iterator[ChatGenerationChunk]:
    """Yield a chunk for each sentence, then one with what is to know about the answer."""
    about: dict[str, Any] = {
        "model_name": model,
        "citations": [],
        "refused": evidence is None or not evidence.enough,
        "score": round(evidence.score, 4) if evidence else 0.0,
    }
    if evidence is None or not evidence.enough:
        yield _chunk(REFUSAL)
        yield _chunk("", about)
        return
    for piece in quote_windows(passages, evidence.windows):
        if piece.citation:
            about["citations"].append(piece.citation)
        yield _chunk(piece.text)
    yield _chunk("", about)


def _chunk(text: str, about: dict[str, Any] | None = None) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text, response_metadata=about or {}))
