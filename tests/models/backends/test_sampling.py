"""Sampling as servers are told of it, and the end of an answer that has none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models import BaseChatModel

from models.backends.ollama.driver import OllamaDriver
from models.backends.openai.driver import OpenAIDriver
from models.catalog.spec import ModelSpec
from models.output.messages import cut_of
from models.scheduling.requirement import MemoryRequirement
from tests.models.backends.test_chat_contract import driver_of
from tests.support.ollama import Ollama
from tests.support.script import Gate, says

PATHS = {"ollama": "/api/chat", "openai": "/v1/chat/completions"}


class Server:
    """A double with one model, asked by one of the back ends."""

    def __init__(self, name: str, ollama: Ollama, home: Path, stack: AsyncExitStack) -> None:
        self.name = name
        self._ollama = ollama
        self._home = home
        self._stack = stack

    async def load(self, **options: Any) -> BaseChatModel:
        if self.name == "openai":
            options["base_url"] = f"{self._ollama.url}/v1"
        fields = {"name": "mine", "task": "chat", "backend": self.name, "source": "tiny"}
        spec = ModelSpec.model_validate({**fields, "options": options})
        driver = driver_of(self.name, self._ollama.url, self._home)
        driver = cast(OllamaDriver | OpenAIDriver, driver)
        self._stack.push_async_callback(driver.close)
        loaded = await driver.load(spec, MemoryRequirement(), lambda news: None)
        self._stack.push_async_callback(loaded.unload)
        return cast(BaseChatModel, loaded.capability)

    def asked(self) -> dict[str, Any]:
        """What the last request said of sampling, flat."""
        body = self._ollama.asked(PATHS[self.name])[-1]
        return {**body, **body.get("options", {})}


@pytest.fixture(params=list(PATHS))
async def server(
    request: pytest.FixtureRequest, ollama: Ollama, tmp_path: Path
) -> AsyncIterator[Server]:
    ollama.add("tiny", "One two three.")
    async with AsyncExitStack() as stack:
        yield Server(request.param, ollama, tmp_path, stack)


async def test_options_and_calls_reach_the_server(server: Server) -> None:
    chat = await server.load(temperature=0.7, top_k=5, stop=["<end>"])

    await chat.bind(temperature=0.0, top_p=0.5, seed=3, max_tokens=20, stop=["END"]).ainvoke("hi")

    asked = server.asked()
    bound = "num_predict" if server.name == "ollama" else "max_tokens"
    assert (asked["temperature"], asked["top_p"], asked["top_k"]) == (0.0, 0.5, 5)
    assert (asked["seed"], asked[bound], asked["stop"]) == (3, 20, ["<end>", "END"])


async def test_ollama_is_told_a_bound_on_answers_that_nobody_bounds(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.add("tiny", "One two three.")
    async with AsyncExitStack() as stack:
        server = Server("ollama", ollama, tmp_path, stack)

        await (await server.load(num_ctx=512)).ainvoke("hi")

        assert server.asked()["num_predict"] == 256


async def test_answer_without_an_end_is_closed_at_the_bound_of_a_server_that_is_told_none(
    ollama: Ollama, tmp_path: Path, gate: Gate
) -> None:
    ollama.add("tiny", says([*(f"{number} " for number in range(200)), gate]))
    async with AsyncExitStack() as stack:
        server = Server("openai", ollama, tmp_path, stack)

        answer = await (await server.load(context=64)).ainvoke("hi")

        assert "max_tokens" not in server.asked()
        assert cut_of(answer) == "length"
        assert 32 < len(str(answer.text).split()) < 200
        await gate.abandoned.wait()
