"""What every chat back end with a language model keeps.

Runs over the doubles, over the shipped storyteller in its worker, and over a real Ollama (by its
own API and by `/v1`) where `MOTET_TEST_OLLAMA` gives its URL; `MOTET_TEST_OLLAMA_MODEL` names the
model, else the first found.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from config.errors import TimedOut, Unavailable
from config.settings import load_settings
from models.backends.llamacpp.driver import LlamaCppDriver
from models.backends.ollama.driver import OllamaDriver
from models.backends.openai.driver import OpenAIDriver
from models.backends.transformers.driver import TransformersDriver
from models.capabilities.chat import SchemaBinder
from models.catalog.spec import ModelSpec
from models.driver import Driver, DriverContext
from models.lease import ModelSource
from models.output.messages import cut_of
from models.scheduling.requirement import MemoryRequirement
from models.workers.prewarmed import PrewarmedWorkers
from tests.support.forked_workers import ForkingWorkers
from tests.support.ollama import Ollama
from tests.support.script import Call, Gate, Reply, Turn
from tests.support.tiny.gguf_files import write_model

REAL = os.environ.get("MOTET_TEST_OLLAMA", "")
NOWHERE = "http://127.0.0.1:9"
DRIVERS: dict[str, Callable[[DriverContext], Driver]] = {
    "ollama": OllamaDriver,
    "openai": OpenAIDriver,
    "transformers": TransformersDriver,
    "llamacpp": LlamaCppDriver,
}
WITHOUT_SERVER = {"transformers", "llamacpp"}
SERVERS = ["double", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason="no Ollama"))]
SLOWLY = "Think about everything first."
SCHEMA = {
    "title": "weather",
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "warm": {"type": "boolean"}},
    "required": ["city", "warm"],
    "additionalProperties": False,
}


def answers(turn: Turn) -> Reply:
    if turn.last == SLOWLY:
        return Gate()
    if turn.format:
        return '{"city": "Paris", "warm": true}'
    if turn.tools:
        return Call(turn.tool_names[0], {"city": "Paris"})
    return "One two three four five."


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


@dataclass
class Backend:
    """A driver for one server, and how a model of it is declared."""

    driver: Driver
    name: str
    model: str
    url: str
    stack: AsyncExitStack
    tools: bool
    chats: dict[str, BaseChatModel] = field(default_factory=dict)
    """What is loaded, by its options: worker processes take seconds to start."""

    def spec(self, source: str | None = None, url: str | None = None, **options: Any) -> ModelSpec:
        if self.name == "openai":
            options["base_url"] = (url or self.url) + "/v1"
        if self.name in WITHOUT_SERVER:
            options = {"max_tokens": 90, "threads": 1, **options}
        if self.name == "llamacpp" and source:
            source = f"./{source}"
        return ModelSpec.model_validate(
            {
                "name": "mine",
                "task": "chat",
                "backend": self.name,
                "source": source or self.model,
                "options": options,
            }
        )

    async def chat(self, **options: Any) -> BaseChatModel:
        if str(options) not in self.chats:
            loaded = await self.driver.load(
                self.spec(**options), MemoryRequirement(), lambda news: None
            )
            self.stack.push_async_callback(loaded.unload)
            self.chats[str(options)] = cast(BaseChatModel, loaded.capability)
        return self.chats[str(options)]


def driver_of(name: str, url: str, home: Path, workers: PrewarmedWorkers | None = None) -> Driver:
    settings = load_settings(home=home, ollama_url=url)
    started = {"workers": workers} if workers else {}
    return DRIVERS[name](DriverContext(settings, {}, cast(ModelSource, None), **started))


@pytest.fixture(scope="module")
async def in_workers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Backend]]:
    """The back ends without a server; a model that one test has loaded is there for the next."""
    home = tmp_path_factory.mktemp("home")
    models = {
        "transformers": "models/small/storyteller",
        "llamacpp": str(write_model(home / "tiny.gguf")),
    }
    workers = ForkingWorkers()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(workers.close)
        backends = {}
        for name, model in models.items():
            driver = driver_of(name, "", home, workers)
            stack.push_async_callback(driver.close)
            backends[name] = Backend(driver, name, model, "", stack, tools=False)
        yield backends


@pytest.fixture(params=list(DRIVERS))
def backend_name(request: pytest.FixtureRequest) -> str:
    return cast(str, request.param)


@pytest.fixture(params=SERVERS)
async def backend(
    request: pytest.FixtureRequest,
    backend_name: str,
    ollama: Ollama,
    in_workers: dict[str, Backend],
    tmp_path: Path,
) -> AsyncIterator[Backend]:
    if backend_name in in_workers:
        if request.param == "real":
            pytest.skip("it has no server")
        yield in_workers[backend_name]
        return
    url, model, tools = ollama.url, "contract", True
    if request.param == "real":
        url, (model, tools) = REAL, await real_model(tmp_path)
    else:
        ollama.add("contract", answers)
        ollama.add("other", answers)
    driver = driver_of(backend_name, url, tmp_path)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(driver.close)
        yield Backend(driver, backend_name, model, url, stack, tools)


async def real_model(home: Path) -> tuple[str, bool]:
    driver = cast(OllamaDriver, driver_of("ollama", REAL, home))
    try:
        found = [spec.source for spec in await driver.discover("chat")]
        model = os.environ.get("MOTET_TEST_OLLAMA_MODEL") or found[0]
        able = (await driver._api.details(model)).capabilities
        return model, "tools" in (able or ())
    finally:
        await driver.close()


async def test_an_answer_streams_in_pieces_that_tell_why_it_ended(backend: Backend) -> None:
    chat = await backend.chat()
    pieces = [piece async for piece in chat.astream("Count to five.")]
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert len(pieces) > 1
    assert whole.text
    told = whole.response_metadata
    assert told.get("done_reason") or told.get("finish_reason")


async def test_an_answer_taken_whole_tells_what_it_cost(backend: Backend) -> None:
    answer = await (await backend.chat()).ainvoke("Count to five.")
    assert answer.text
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] > 0


async def test_a_stream_given_up_leaves_the_model_usable(backend: Backend) -> None:
    chat = await backend.chat()
    stream = chat.astream("Count to a hundred.")
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        async for _ in pieces:
            break
    assert (await chat.ainvoke("Count to five.")).text


async def test_a_cancelled_call_leaves_the_model_usable(backend: Backend) -> None:
    chat = await backend.chat()
    began = asyncio.Event()

    async def read() -> None:
        async for _ in chat.astream("Count to a hundred."):
            began.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(began.wait(), 240)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert (await chat.ainvoke("Count to five.")).text


async def test_many_calls_at_once_are_all_answered(backend: Backend) -> None:
    chat = await backend.chat()
    answered = await asyncio.gather(*(chat.ainvoke("Count to five.") for _ in range(6)))
    assert all(answer.text for answer in answered)


async def test_a_model_the_server_does_not_have_is_missing(backend: Backend) -> None:
    spec = backend.spec(source="no-such-model")
    assert spec.name in (await backend.driver.available(spec) or "")
    with pytest.raises(Unavailable, match=f"'{spec.name}'") as caught:
        await backend.driver.load(spec, MemoryRequirement(), lambda news: None)
    assert caught.value.code == "model_missing"
    assert caught.value.details["model"] == spec.name


async def test_silence_beyond_its_bound_times_out(backend: Backend) -> None:
    chat = await backend.chat(timeout_s=0.0005)
    with pytest.raises(TimedOut) as caught:
        await chat.ainvoke(SLOWLY)
    assert caught.value.code == "model_timed_out"


async def test_a_schema_gets_an_answer_that_fits_it(backend: Backend) -> None:
    bound = (await backend.chat()).with_structured_output(SCHEMA)
    answer = await bound.ainvoke("Is it warm in Paris? Answer in JSON.")
    assert isinstance(answer, dict)
    assert set(answer) == {"city", "warm"}


async def test_answer_of_a_schema_that_reaches_its_bound_is_cut_and_no_failure(
    backend: Backend,
) -> None:
    bound = cast(SchemaBinder, await backend.chat()).bind_schema(SCHEMA)

    answer = await bound.ainvoke("Is it warm in Paris? Answer in JSON.", max_tokens=2)

    assert isinstance(answer, AIMessage)
    assert cut_of(answer) == "length"
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] == 2


async def test_a_tool_is_called_with_its_arguments(backend: Backend) -> None:
    if not backend.tools:
        pytest.skip("this model has no tools")
    bound = (await backend.chat()).bind_tools([weather])
    answer = await bound.ainvoke("What is the weather in Paris? Use the tool.")
    assert isinstance(answer, AIMessage)
    assert [call["name"] for call in answer.tool_calls] == ["weather"]
    assert isinstance(answer.tool_calls[0]["args"]["city"], str)


async def test_a_server_that_is_down_is_not_available_and_cannot_load(
    backend_name: str, tmp_path: Path
) -> None:
    if backend_name in WITHOUT_SERVER:
        pytest.skip("it has no server")
    async with AsyncExitStack() as stack:
        driver = driver_of(backend_name, NOWHERE, tmp_path)
        stack.push_async_callback(driver.close)
        backend = Backend(driver, backend_name, "any", NOWHERE, stack, tools=True)
        assert "answer" in (await driver.available(backend.spec()) or "")
        with pytest.raises(Unavailable) as caught:
            await driver.load(backend.spec(), MemoryRequirement(), lambda news: None)
        assert caught.value.code == f"{backend_name}_unreachable"


def conversation(chat: BaseChatModel) -> Awaitable[AIMessage]:
    return chat.ainvoke(
        [
            ("system", "Answer in one word."),
            ("user", "Say one."),
            ("assistant", "One."),
            ("user", "Say two."),
        ]
    )


async def test_a_conversation_is_sent_whole(backend: Backend, ollama: Ollama) -> None:
    assert (await conversation(await backend.chat())).text
    if backend.url == ollama.url:
        path = "/api/chat" if backend.name == "ollama" else "/v1/chat/completions"
        roles = [message["role"] for message in ollama.asked(path)[0]["messages"]]
        assert roles == ["system", "user", "assistant", "user"]
