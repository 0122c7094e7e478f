"""Stand-ins for what a graph's context gives: models, indexes. They keep the same protocols.

`FakeModels.lease` answers as `models.manager.Models.lease` does: an async context that yields a
lease with `chat` and `choice`, tells `on_event` which model was chosen, and counts what is leased.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

from config.errors import NotFound, Unavailable
from graphs.context import GraphContext
from tools.calculate import calculate_tool
from tools.registry import Toolbox
from tools.spec import Tool

Answer = str | AIMessage | Exception | Callable[[list[BaseMessage]], Any]


class ScriptedChat(BaseChatModel):
    """Answers with the next of `answers`; a function is called with the messages.

    It streams word by word, records what it was asked, and calls tools when `can_call`.
    """

    answers: list[Any]
    can_call: bool = True
    asked: list[list[BaseMessage]]
    bound: list[list[dict[str, Any]]]
    name: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        if not self.can_call:
            raise NotImplementedError
        self.bound.append(list(tools))
        return self.bind(tools=list(tools))

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        raise NotImplementedError

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self.asked.append(messages)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(messages)
        if isinstance(answer, Exception):
            raise answer
        message = AIMessage(answer) if isinstance(answer, str) else answer
        message.response_metadata.setdefault("model_name", self.name)
        return message

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._next(messages)):
            generation = ChatGenerationChunk(message=chunk)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=generation)
            yield generation


def _chunks(message: AIMessage) -> Iterator[AIMessageChunk]:
    words = str(message.text).split(" ")
    for number, word in enumerate(words):
        text = word if number == len(words) - 1 else f"{word} "
        if text:
            yield AIMessageChunk(text)
    yield AIMessageChunk(
        "",
        tool_calls=message.tool_calls,
        tool_call_chunks=[
            {"name": c["name"], "args": json.dumps(c["args"]), "id": c["id"], "index": i}
            for i, c in enumerate(message.tool_calls)
        ],
        response_metadata=message.response_metadata,
    )


def calling(name: str, /, **arguments: Any) -> AIMessage:
    """An answer that calls one tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call_{name}"}])


@dataclass(frozen=True)
class FakeChoice:
    model: str
    reason: str = "the only one"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FakeLease:
    chat: BaseChatModel
    choice: FakeChoice


@dataclass
class FakeModels:
    """Chat models by name; `chat` is what every unknown role gives."""

    chats: dict[str, BaseChatModel] = field(default_factory=dict)
    leased: int = 0
    most_leased: int = 0
    tenants: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def lease(
        self,
        name: str,
        task: Any,
        *,
        tenant: str = "default",
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> AsyncIterator[FakeLease]:
        if name not in self.chats:
            raise NotFound(f"There is no model '{name}'.", code="model_not_found")
        self.tenants.append(tenant)
        self.leased += 1
        self.most_leased = max(self.most_leased, self.leased)
        choice = FakeChoice(name)
        if on_event:
            on_event({"phase": "chosen", **choice.as_dict()})
            on_event({"phase": "ready", "model": name})
        try:
            yield FakeLease(self.chats[name], choice)
        finally:
            self.leased -= 1


@dataclass(frozen=True)
class FakePassage:
    id: str
    text: str
    index: str = "docs"
    document: str = "d1"
    title: str = "Guide"
    source: str = "guide.md"
    heading: tuple[str, ...] = ("Start",)
    start: int = 0
    end: int = 0
    page: int | None = None
    hash: str = "h1"
    score: float = 0.5

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "heading": list(self.heading)}


@dataclass(frozen=True)
class FakeDocument:
    id: str
    text: str
    title: str = "Guide"
    source: str = "guide.md"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class FakeIndexes:
    """Finds the passages that share a word with the query."""

    passages: list[FakePassage] = field(default_factory=list)
    library: list[FakeDocument] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def search(
        self,
        name: str,
        query: str,
        *,
        limit: int = 8,
        mode: Any = "hybrid",
        documents: list[str] | None = None,
        tenant: str = "default",
    ) -> list[FakePassage]:
        self.searches.append(
            {"name": name, "query": query, "limit": limit, "mode": mode, "tenant": tenant}
        )
        if self.failures:
            raise self.failures.pop(0)
        words = set(query.lower().split())
        found = [
            passage
            for passage in self.passages
            if words & set(passage.text.lower().rstrip(".").split())
            and (documents is None or passage.document in documents)
        ]
        return found[:limit]

    async def documents(
        self, name: str, *, tenant: str = "default", limit: int = 100, offset: int = 0
    ) -> list[FakeDocument]:
        return self.library[offset : offset + limit]

    async def document(self, name: str, id: str, *, tenant: str = "default") -> FakeDocument:
        for document in self.library:
            if document.id == id:
                return document
        raise NotFound(f"There is no document '{id}'.", code="document_not_found")


def no_language_model(messages: list[BaseMessage]) -> Any:
    """What the embedded reader does when it is asked to write freely, and how it cites."""
    told = messages[-1].additional_kwargs.get("motet")
    if not told or not told["passages"]:
        return Unavailable(
            "This needs a language model. Install Ollama.",
            code="needs_language_model",
            permanent=True,
        )
    first = told["passages"][0]
    sentence = first["text"].split(". ")[0]
    span = {
        "n": 1,
        "passage": first.get("id"),
        "start": first["start"],
        "end": first["start"] + len(sentence),
        "text": sentence,
    }
    return AIMessage(
        f"{sentence} [1]",
        response_metadata={"model_name": "reader", "citations": [span], "refused": False},
    )


def reader() -> ScriptedChat:
    """A chat model that behaves as the embedded reader."""
    return chat(no_language_model, can_call=False, name="reader")


def chat(*answers: Any, **fields: Any) -> ScriptedChat:
    """A chat model that gives these answers, the last again and again."""
    return ScriptedChat(answers=list(answers), asked=[], bound=[], **fields)


def context(
    *answers: Any,
    models: FakeModels | None = None,
    indexes: FakeIndexes | None = None,
    tools: Sequence[Tool] = (),
    **fields: Any,
) -> GraphContext:
    """A context whose role `chat` gives these answers."""
    if models is None:
        models = FakeModels({"chat": chat(*answers) if answers else reader()})
    return GraphContext(
        models=models,
        indexes=indexes or FakeIndexes(),
        tools=Toolbox([calculate_tool(), *tools]),
        **fields,
    )
