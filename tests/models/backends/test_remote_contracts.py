"""Ollama and OpenAI-compatible servers keep the contracts of captions and of embeddings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import Invalid, MotetError, Unavailable
from config.settings import load_settings
from models.backends.ollama.driver import OllamaDriver
from models.backends.openai.driver import OpenAIDriver
from models.capabilities import Caption, CaptionRequest, Embed
from models.catalog.spec import ModelSpec, Task
from models.driver import Driver, DriverContext
from models.lease import ModelSource
from models.scheduling.requirement import MemoryRequirement
from tests.models.backends.contracts.caption import CaptionContract, picture
from tests.models.backends.contracts.embed import EmbedContract
from tests.support.ollama import Ollama
from tests.support.script import RUNNER_DIED, Gate, says

BACKENDS = ["ollama", "openai"]


def driver_of(backend: str, ollama: Ollama, home: Path) -> Driver:
    settings = load_settings(home=home, ollama_url=ollama.url)
    context = DriverContext(settings, {}, cast(ModelSource, None))
    return OllamaDriver(context) if backend == "ollama" else OpenAIDriver(context)


def spec_of(backend: str, ollama: Ollama, task: Task, source: str, **options: Any) -> ModelSpec:
    if backend == "openai":
        options["base_url"] = f"{ollama.url}/v1"
    fields = {"name": "mine", "task": task, "backend": backend, "source": source}
    return ModelSpec.model_validate({**fields, "options": options})


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def driver(backend: str, ollama: Ollama, tmp_path: Path) -> AsyncIterator[Driver]:
    driver = driver_of(backend, ollama, tmp_path)
    yield driver
    await driver.close()


async def load(driver: Driver, spec: ModelSpec) -> Any:
    return await driver.load(spec, MemoryRequirement(), lambda news: None)


class TestCaption(CaptionContract):
    opens = True

    @pytest.fixture
    async def seer(self, backend: str, ollama: Ollama, driver: Driver) -> AsyncIterator[Caption]:
        ollama.add("sees", "A red circle on blue.", capabilities=("completion", "vision"))
        model = await load(driver, spec_of(backend, ollama, "caption", "sees"))
        yield model.capability
        await model.unload()

    async def test_closing_the_stream_frees_the_place_in_the_server(
        self, backend: str, ollama: Ollama, driver: Driver, gate: Gate
    ) -> None:
        ollama.add("slow", lambda turn: ["A", gate], capabilities=("completion", "vision"))
        model = await load(driver, spec_of(backend, ollama, "caption", "slow"))
        stream = model.capability.caption(CaptionRequest([picture()]))
        assert (await anext(stream)).strip() == "A"
        await stream.aclose()
        await gate.abandoned.wait()
        await model.unload()

    async def test_a_model_that_dies_meanwhile_is_an_error_not_a_short_caption(
        self, backend: str, ollama: Ollama, driver: Driver
    ) -> None:
        ollama.add("dies", says(["A red", RUNNER_DIED]), capabilities=("completion", "vision"))
        model = await load(driver, spec_of(backend, ollama, "caption", "dies"))
        with pytest.raises(Unavailable):
            await self.told(model.capability, CaptionRequest([picture()]))
        await model.unload()

    async def test_the_picture_and_the_bound_on_the_answer_reach_the_server(
        self, backend: str, ollama: Ollama, seer: Caption
    ) -> None:
        request = CaptionRequest([picture(), picture("JPEG")], prompt="What?", max_tokens=2)
        assert "".join(await self.told(seer, request)) == "A red"
        path = "/api/chat" if backend == "ollama" else "/v1/chat/completions"
        sent = str(ollama.asked(path)[-1]["messages"])
        assert sent.count("iVBOR") == 1
        assert sent.count("/9j/") == 1


class TestEmbed(EmbedContract):
    @pytest.fixture
    async def embedder(self, backend: str, ollama: Ollama, driver: Driver) -> AsyncIterator[Embed]:
        ollama.add("vectors", capabilities=("embedding",), context_length=512)
        model = await load(driver, spec_of(backend, ollama, "embed", "vectors"))
        yield model.capability
        await model.unload()

    async def test_it_is_a_wrong_model_that_does_not_embed(
        self, backend: str, ollama: Ollama, driver: Driver
    ) -> None:
        ollama.add("chats")
        with pytest.raises(MotetError):
            await load(driver, spec_of(backend, ollama, "embed", "chats"))

    async def test_another_length_of_vectors_is_another_fingerprint(
        self, backend: str, ollama: Ollama, driver: Driver, embedder: Embed
    ) -> None:
        short = await load(driver, spec_of(backend, ollama, "embed", "vectors", dimensions=4))
        assert short.capability.dimensions == 4
        assert short.capability.fingerprint != embedder.fingerprint
        await short.unload()


async def test_a_model_that_does_not_see_is_refused_for_captions(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.add("blind")
    driver = driver_of("ollama", ollama, tmp_path)
    spec = spec_of("ollama", ollama, "caption", "blind")
    assert "look at pictures" in (await driver.available(spec) or "")
    with pytest.raises(Invalid):
        await load(driver, spec)
    await driver.close()
