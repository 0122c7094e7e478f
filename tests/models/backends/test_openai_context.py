"""The context of a model on an OpenAI-compatible server, and its tokens by the server's counter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.messages import HumanMessage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from config.settings import load_settings
from models.backends.openai.chat import OpenAIChat
from models.backends.openai.context import find_entry, slot_context
from models.backends.openai.driver import OpenAIDriver
from models.catalog.spec import ModelSpec
from models.driver import DriverContext
from models.lease import ModelSource
from models.scheduling.requirement import MemoryRequirement
from tests.support.server import ServerThread

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
LLAMACPP = {"id": "a.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 8192, "n_ctx_train": 32768}}
VLLM = {"id": "mine", "owned_by": "vllm", "max_model_len": 4096}


@dataclass
class ContextServer:
    """Answers as servers do that tell a context: llama.cpp on some paths, vLLM on others."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    counted: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False
    caps: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.thread = ServerThread(
            Starlette(
                routes=[
                    Route("/v1/models", self._models),
                    Route("/props", self._props),
                    Route("/v1/chat/completions/input_tokens", self._count, methods=["POST"]),
                    Route("/tokenize", self._count, methods=["POST"]),
                ]
            )
        )

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": self.entries})

    async def _props(self, request: Request) -> Response:
        told = {"chat_template_caps": self.caps} if self.caps else {}
        return JSONResponse({"default_generation_settings": {"n_ctx": 2048}, **told})

    async def _count(self, request: Request) -> Response:
        if self.broken:
            return Response("no", 404)
        self.counted.append(await request.json())
        told = {"count": 41} if request.url.path == "/tokenize" else {"input_tokens": 42}
        return JSONResponse(told)


@pytest.fixture
def server() -> Iterator[ContextServer]:
    server = ContextServer()
    server.thread.start()
    yield server
    server.thread.stop()


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[OpenAIDriver]:
    driver = OpenAIDriver(DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None)))
    yield driver
    await driver.close()


async def load(driver: OpenAIDriver, server: ContextServer, **options: Any) -> OpenAIChat:
    fields = {"name": "mine", "task": "chat", "backend": "openai", "source": "mine"}
    options = {"base_url": f"{server.thread.url}/v1", **options}
    spec = ModelSpec.model_validate({**fields, "options": options})
    model = await driver.load(spec, MemoryRequirement(), lambda news: None)
    return cast(OpenAIChat, model.capability)


def context_of(chat: OpenAIChat) -> int | None:
    return (chat.profile or {}).get("max_input_tokens")


@pytest.mark.parametrize(
    ("entry", "options", "context"),
    [
        (LLAMACPP, {}, 2048),
        (VLLM, {}, 4096),
        ({"id": "mine", "context_length": 9000}, {}, 9000),
        ({"id": "mine"}, {}, None),
        ({"id": "mine"}, {"context": 1000}, 1000),
        (VLLM, {"context": 1000}, 1000),
        (VLLM, {"context": 100_000}, 4096),
    ],
)
async def test_the_context_is_what_the_server_tells_or_else_the_option(
    server: ContextServer,
    driver: OpenAIDriver,
    entry: dict[str, Any],
    options: dict[str, Any],
    context: int | None,
) -> None:
    server.entries = [entry]

    chat = await load(driver, server, **options)

    assert context_of(chat) == context
    await chat.aclose()


@pytest.mark.parametrize(("entry", "tokens"), [(LLAMACPP, 42), (VLLM, 41)])
async def test_a_server_counts_the_tokens_of_a_prompt_with_its_tools(
    server: ContextServer, driver: OpenAIDriver, entry: dict[str, Any], tokens: int
) -> None:
    server.entries = [entry]
    chat = await load(driver, server)

    assert await chat.count_tokens([HumanMessage("Hello")], {"tools": [TOOL]}) == tokens

    body = server.counted[0]
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert body["tools"] == [TOOL]
    assert "stream" not in body
    await chat.aclose()


async def test_a_server_that_cannot_count_tells_nothing(
    server: ContextServer, driver: OpenAIDriver
) -> None:
    server.entries, server.broken = [VLLM], True
    chat = await load(driver, server)

    assert await chat.count_tokens([HumanMessage("Hello")], {}) is None

    server.thread.stop()
    assert await chat.count_tokens([HumanMessage("Hello")], {}) is None
    await chat.aclose()


@pytest.mark.parametrize(
    ("caps", "takes"),
    [({"supports_tools": False}, False), ({"supports_tools": True}, True), (None, True)],
)
async def test_template_without_a_place_for_tools_is_known_when_the_model_is_loaded(
    server: ContextServer, driver: OpenAIDriver, caps: dict[str, Any] | None, takes: bool
) -> None:
    server.entries, server.caps = [LLAMACPP], caps

    chat = await load(driver, server)

    assert chat.takes_tools is takes
    await chat.aclose()


@pytest.mark.parametrize("listed", [None, [], {"data": None}, {"data": ["a"]}, {"data": [{}, {}]}])
def test_an_unreadable_list_has_no_entry(listed: Any) -> None:
    assert find_entry(listed, "mine") == {}


def test_an_entry_is_found_by_its_name_among_several() -> None:
    listed = {"data": [{"id": "other"}, VLLM]}

    assert find_entry(listed, "mine") is VLLM


@pytest.mark.parametrize("props", [None, [], {}, {"default_generation_settings": {"n_ctx": "x"}}])
def test_unreadable_properties_tell_no_context(props: Any) -> None:
    assert slot_context(props) is None
