"""Stand-ins for what a graph's context gives: models, indexes. They keep the same protocols.

`FakeModels.lease` answers as `models.manager.Models.lease` does: an async context that yields a
lease with `chat` and `choice`, tells `on_event` which model was chosen, and counts what is leased.
"""

from __future__ import annotations

import array
import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field

from config.errors import MotetError, NotFound, Unavailable
from graphs.run_context import RunContext
from indexes.retrieval.completeness import Gap, SearchResults
from models.capabilities import Vectors
from models.lease import LeaseAttempt, LeaseAttempts
from models.output.answer_reader import AnswerReader
from models.output.messages import finish_reason
from tests.support.tenants import TENANT
from tools.calculate import calculate_tool
from tools.registry import Toolbox
from tools.spec import Tool, ToolContext

Answer = str | AIMessage | Exception | Callable[[list[BaseMessage]], Any]


class ScriptedChat(BaseChatModel):
    """Answers with the next of `answers`; a function is called with the messages.

    It streams word by word, read as every back end reads what a model writes. It records what it
    was asked, and calls tools when `can_call`.
    """

    answers: list[Any]
    can_call: bool = True
    asked: list[list[BaseMessage]]
    bound: list[list[dict[str, Any]]]
    options: list[dict[str, Any]] = Field(default_factory=list)
    """What each call said beside its messages."""
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
        message.response_metadata.setdefault("finish_reason", "stop")
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
        self.options.append({**kwargs, **({"stop": stop} if stop else {})})
        reader = AnswerReader(kwargs.get("tools") or ())
        for chunk in _chunks(self._next(messages)):
            for read in reader.read(chunk, finish_reason(chunk.response_metadata)):
                generation = ChatGenerationChunk(message=read)
                if run_manager:
                    await run_manager.on_llm_new_token(read.text, chunk=generation)
                yield generation
            if reader.kept_chars is not None:
                yield ChatGenerationChunk(message=reader.end_loop())
                return


def _chunks(message: AIMessage) -> Iterator[AIMessageChunk]:
    if message.additional_kwargs:
        yield AIMessageChunk("", additional_kwargs=message.additional_kwargs)
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
class FakeResolvedModel:
    model: str
    reason: str = "the only one"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class WordEmbed:
    """A bag of words as a vector: near means sharing words. Keeps what it was given."""

    fingerprint = "words"
    dimensions = 512

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        self.calls.append(list(texts))
        return Vectors.joined(self.dimensions, [self._row(text) for text in texts])

    def _row(self, text: str) -> bytes:
        row = [0.0] * self.dimensions
        for word in set(re.findall(r"\w+", text.lower())) - {"the", "a", "is", "for", "in"}:
            place = int.from_bytes(blake2b(word.encode(), digest_size=4).digest(), "little")
            row[place % self.dimensions] += 1.0
        length = math.hypot(*row) or 1.0
        return array.array("f", [number / length for number in row]).tobytes()


@dataclass(frozen=True)
class FakeModel:
    name: str


@dataclass(frozen=True)
class FakeLease:
    chat: BaseChatModel
    choice: FakeResolvedModel
    embed: WordEmbed

    @property
    def model(self) -> FakeModel:
        return FakeModel(self.choice.model)


@dataclass
class FakeModels:
    """Chat models by name; `chat` is what every unknown role gives."""

    chats: dict[str, BaseChatModel] = field(default_factory=dict)
    leased: int = 0
    most_leased: int = 0
    tenants: list[str] = field(default_factory=list)
    embedder: WordEmbed | None = field(default_factory=WordEmbed)

    @asynccontextmanager
    async def lease(
        self,
        name: str,
        task: Any,
        *,
        tenant: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> AsyncIterator[FakeLease]:
        if task == "embed" and self.embedder:
            yield FakeLease(chat(""), FakeResolvedModel(name), self.embedder)
            return
        if task == "embed":
            raise Unavailable("There is no embedder.", code="role_unavailable")
        if name not in self.chats:
            raise NotFound(f"There is no model '{name}'.", code="model_not_found")
        self.tenants.append(tenant)
        self.leased += 1
        self.most_leased = max(self.most_leased, self.leased)
        choice = FakeResolvedModel(name)
        if on_event:
            on_event({"phase": "chosen", **choice.as_dict()})
            on_event({"phase": "ready", "model": name})
        try:
            yield FakeLease(self.chats[name], choice, WordEmbed())
        finally:
            self.leased -= 1

    def attempts(self, name: str, task: Any, **options: Any) -> AsyncIterator[LeaseAttempt]:
        async def explain(lease: Any, error: MotetError, last: bool) -> MotetError:
            return error

        return LeaseAttempts(
            lambda last: LeaseAttempt(self.lease(name, task, **options), explain, last)  # type: ignore[arg-type]
        )


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
    page: int | None = None
    hash: str = "h1"
    score: float = 0.5

    def as_dict(self) -> dict[str, Any]:
        end = self.start + len(self.text)
        return {**asdict(self), "heading": list(self.heading), "end": end}


@dataclass(frozen=True)
class FakeThreshold:
    value: float


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
    gaps: list[Gap] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    deleted: list[FakeDocument] = field(default_factory=list)
    """Still listed when they cannot be read any more."""

    async def get(self, name: str, tenant: str) -> FakeIndex:
        return FakeIndex(self, name)

    async def search(
        self,
        names: Any,
        query: str,
        *,
        limit: int = 8,
        mode: Any = "hybrid",
        documents: list[str] | None = None,
        tenant: str,
        **more: Any,
    ) -> SearchResults[FakePassage]:
        self.searches.append(
            {"name": names, "query": query, "limit": limit, "mode": mode, "tenant": tenant, **more}
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
        return SearchResults(found[:limit], self.gaps)


@dataclass
class FakeIndex:
    """One index of the fake ones; all have the same documents."""

    indexes: FakeIndexes
    name: str

    async def get_threshold(self) -> FakeThreshold | None:
        thresholds = self.indexes.thresholds
        return FakeThreshold(thresholds[self.name]) if self.name in thresholds else None

    async def list_documents(self, *, limit: int = 100, offset: int = 0) -> list[FakeDocument]:
        listed = [*self.indexes.library, *self.indexes.deleted]
        return listed[offset : offset + limit]

    async def get_document(self, id: str) -> FakeDocument:
        for document in self.indexes.library:
            if document.id == id:
                return document
        raise NotFound(f"There is no document '{id}'.", code="document_not_found")


def scripted_tool(name: str, work: Any, repeatable: bool = True) -> Tool:
    """A tool that does `work`, a function of its arguments, which may be async."""

    async def run_tool(arguments: dict[str, Any], context: ToolContext) -> Any:
        result = work(arguments)
        return await result if asyncio.iscoroutine(result) else result

    return Tool(name, name, {"type": "object"}, run_tool, repeatable)


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
) -> RunContext:
    """A context whose role `chat` gives these answers."""
    if models is None:
        models = FakeModels({"chat": chat(*answers) if answers else reader()})
    return RunContext(
        models=models,
        indexes=indexes or FakeIndexes(),
        tools=Toolbox([calculate_tool(), *tools]),
        **{"tenant": TENANT, **fields},
    )
