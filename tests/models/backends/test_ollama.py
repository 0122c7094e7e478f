from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models import BaseChatModel

from config.errors import Busy, Invalid, MotetError, TimedOut, Unavailable
from config.settings import load_settings
from models.backends.ollama.api import OllamaApi
from models.backends.ollama.driver import OllamaDriver, OllamaModel
from models.catalog.spec import ModelSpec
from models.driver import DriverContext
from models.lease import ModelSource
from models.manager import Models, open_models
from models.scheduling.requirement import MemoryRequirement
from tests.support.ollama import Ollama
from tests.support.script import RUNNER_DIED, Cut, Drop, Failure, Gate, Thinking, says
from tests.support.tenants import TENANT

NOW = datetime.now(UTC)


@asynccontextmanager
async def driver_for(url: str, tmp_path: Path, **options: Any) -> AsyncIterator[OllamaDriver]:
    settings = load_settings(home=tmp_path, ollama_url=url)
    driver = OllamaDriver(DriverContext(settings, options, cast(ModelSource, None)))
    try:
        yield driver
    finally:
        await driver.close()


def spec(source: str, **options: Any) -> ModelSpec:
    fields = {"name": "mine", "task": "chat", "backend": "ollama", "source": source}
    return ModelSpec.model_validate({**fields, "options": options})


@pytest.fixture
async def driver(ollama: Ollama, tmp_path: Path) -> AsyncIterator[OllamaDriver]:
    async with driver_for(ollama.url, tmp_path) as driver:
        yield driver


async def loaded(driver: OllamaDriver, source: str = "tiny", **options: Any) -> OllamaModel:
    return await driver.load(spec(source, **options), MemoryRequirement(), lambda news: None)


async def test_installed_chat_models_are_found_the_one_changed_last_first(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("old", modified_at=NOW - timedelta(days=3))
    ollama.add("newest-but-embeds", capabilities=("embedding",), modified_at=NOW)
    ollama.add("new:3b", modified_at=NOW - timedelta(days=1))
    found = await driver.discover("chat")
    assert [each.name for each in found] == ["ollama/new:3b", "ollama/old"]
    assert [each.source for each in found] == ["new:3b", "old"]


async def test_a_preference_goes_before_the_date(ollama: Ollama, tmp_path: Path) -> None:
    for days, name in enumerate(["other", "gemma3:4b", "qwen3:8b", "qwen3:0.6b"]):
        ollama.add(name, modified_at=NOW - timedelta(days=days))
    async with driver_for(ollama.url, tmp_path, prefer=["qwen3*", "gemma3*"]) as driver:
        found = [each.source for each in await driver.discover("chat")]
    assert found == ["qwen3:8b", "qwen3:0.6b", "gemma3:4b", "other"]


async def test_a_server_whose_tags_tell_no_capabilities_is_asked_for_each_model_once(
    serve_ollama: Callable[..., Ollama], tmp_path: Path
) -> None:
    old = serve_ollama(old=True)
    old.add("chats")
    old.add("embeds", capabilities=("embedding",))
    async with driver_for(old.url, tmp_path) as driver:
        for _ in range(2):
            assert [each.source for each in await driver.discover("chat")] == ["chats"]
            driver._probe.forget()
    assert len(old.asked("/api/show")) == 2


async def test_many_who_ask_whether_a_model_is_available_cause_one_request(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    assert await asyncio.gather(*(driver.available(spec("tiny")) for _ in range(50))) == [None] * 50
    assert len(ollama.asked("/api/tags")) == 1


async def test_a_server_that_answers_late_is_not_taken_for_absent(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    ollama.tags_take_s = 2.0
    assert await driver.available(spec("tiny")) is None


async def test_a_model_that_is_not_installed_says_how_to_get_it(driver: OllamaDriver) -> None:
    why = await driver.available(spec("qwen3:8b"))
    assert why is not None
    assert "ollama pull qwen3:8b" in why


async def test_an_embedding_model_is_not_available_for_chat(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("nomic", capabilities=("embedding",))
    assert "cannot chat" in (await driver.available(spec("nomic")) or "")


async def test_a_server_that_is_down_is_named_without_its_password(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.stop()
    url = ollama.url.replace("http://", "http://me:secret@")
    async with driver_for(url, tmp_path) as driver:
        why = await driver.available(spec("tiny")) or ""
        with pytest.raises(Unavailable) as caught:
            await driver.discover("chat")
    assert "does not answer" in why
    assert ollama.url in why
    assert caught.value.code == "ollama_unreachable"
    assert "secret" not in f"{why} {caught.value.as_dict()}"


async def test_a_wrong_option_is_named_with_the_nearest_right_one(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    why = await driver.available(spec("tiny", num_ctxt=512)) or ""
    assert "options.num_ctxt" in why
    assert "num_ctx" in why.partition("Did you mean")[2]


async def test_loading_fixes_the_context_and_keeps_the_model_until_it_is_unloaded(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny", context_length=2048)
    model = await loaded(driver)
    sent = ollama.asked("/api/generate")[0]
    assert (sent["options"], sent["keep_alive"]) == ({"num_ctx": 2048}, -1)
    assert "prompt" not in sent
    await chat_of(model).ainvoke("hi")
    asked = ollama.asked("/api/chat")[0]
    assert asked["keep_alive"] == -1
    assert asked["options"]["num_ctx"] == 2048
    assert ollama.loaded == ["tiny:latest"]
    await model.unload()
    assert ollama.loaded == []


@pytest.mark.parametrize(("wanted", "context"), [({}, 2048), ({"num_ctx": 512}, 512),
                                                 ({"num_ctx": 9000}, 2048)])  # fmt: skip
async def test_the_context_is_the_one_the_model_was_loaded_with(
    ollama: Ollama, driver: OllamaDriver, wanted: dict[str, int], context: int
) -> None:
    ollama.add("tiny", context_length=2048)

    model = await driver.load(spec("tiny", **wanted), MemoryRequirement(), lambda news: None)

    assert (chat_of(model).profile or {})["max_input_tokens"] == context
    assert ollama.asked("/api/generate")[0]["options"]["num_ctx"] == context
    await model.unload()


async def test_memory_is_what_ollama_says_it_holds_outside_the_gpu(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny", memory_bytes=90_000_000, vram_bytes=50_000_000)
    assert await driver.available(spec("tiny")) is None
    assert driver.estimate(spec("tiny"))[0].memory_bytes == 72_000_000
    model = await loaded(driver)
    assert model.memory == {"ram": 40_000_000}
    await model.unload()


async def test_unloading_waits_until_a_running_answer_let_the_model_go(
    ollama: Ollama, driver: OllamaDriver, gate: Gate
) -> None:
    ollama.add("tiny", lambda turn: ["one", gate, " two"])
    model = await loaded(driver)
    answer = asyncio.create_task(chat_of(model).ainvoke("hi"))
    await gate.reached.wait()
    unloading = asyncio.create_task(driver._api.wait_unloaded(["tiny"], within_s=10))
    await driver._api.unload("tiny")
    assert not unloading.done()
    gate.open()
    assert await unloading is True
    assert (await answer).text == "one two"


async def test_a_cancelled_load_leaves_nothing_loaded(
    ollama: Ollama, driver: OllamaDriver, gate: Gate
) -> None:
    ollama.add("tiny", loading=gate)
    loading = asyncio.create_task(loaded(driver))
    await gate.reached.wait()
    loading.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert ollama.loaded == []


async def test_a_model_that_cannot_be_loaded_says_why(ollama: Ollama, driver: OllamaDriver) -> None:
    ollama.add("tiny", loading=Failure("tensor offset exceeds file size", 500))
    with pytest.raises(Unavailable, match="tensor offset") as caught:
        await loaded(driver)
    assert caught.value.code == "model_failed"


async def test_a_server_that_went_is_noticed_and_found_again_when_it_is_back(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    model = await loaded(driver)
    ollama.stop()
    with pytest.raises(Unavailable):
        await chat_of(model).ainvoke("hi")
    assert "does not answer" in await asyncio.wait_for(model.lost, 240)
    assert "does not answer" in (await driver.available(spec("tiny")) or "")
    ollama.start()
    driver._probe.forget()
    assert await driver.available(spec("tiny")) is None


def chat_of(model: OllamaModel) -> BaseChatModel:
    return cast(BaseChatModel, model.capability)


FAILURES: list[tuple[Any, type[MotetError], str]] = [
    (Failure("server busy, please try again.  maximum pending requests exceeded", 503), Busy,
     "model_busy"),
    (Failure('option "num_ctx" must be of type integer', 500), Invalid, "model_refused"),
    (Failure("request (3023 tokens) exceeds the available context size (256 tokens)", 400),
     Invalid, "context_overflow"),
    (Failure("model 'tiny' not found", 404), Unavailable, "model_missing"),
    (["one", RUNNER_DIED], Unavailable, "worker_died"),
    (Failure("it does not work", 500), Unavailable, "model_failed"),
    (["one", Cut()], Unavailable, "response_incomplete"),
    (["one", Drop()], Unavailable, "model_connection_lost"),
]  # fmt: skip


async def streamed(chat: BaseChatModel) -> None:
    async for _ in chat.astream("hi"):
        pass


ASKED: dict[str, Callable[[BaseChatModel], Awaitable[Any]]] = {
    "stream": streamed,
    "invoke": lambda chat: chat.ainvoke("hi"),
    "blocking": lambda chat: asyncio.to_thread(chat.invoke, "hi"),
}


@pytest.mark.parametrize(
    ("reply", "family", "code"),
    FAILURES,
    ids=[f"{code}-{n}" for n, (_, _, code) in enumerate(FAILURES)],
)
@pytest.mark.parametrize("way", list(ASKED))
async def test_a_failure_of_ollama_comes_in_our_families(
    ollama: Ollama,
    driver: OllamaDriver,
    reply: Any,
    family: type[MotetError],
    code: str,
    way: str,
) -> None:
    ollama.add("tiny", says(reply))
    chat = chat_of(await loaded(driver))
    with pytest.raises(family) as caught:
        await ASKED[way](chat)
    assert caught.value.code == code
    assert caught.value.__cause__ is not None or code == "response_incomplete"


async def test_streamed_answer_with_line_separators_is_read_whole(ollama: Ollama) -> None:
    text = "a mast\x85a rope\u2028a sail\u2029"
    ollama.add("tiny", says(text))
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}

    api = OllamaApi(ollama.url)
    async with aclosing(api.lines("/api/chat", body, 10, called="tiny")) as lines:
        answer = "".join([line["message"]["content"] async for line in lines])

    await api.close()
    assert answer == text


async def test_silence_longer_than_the_model_may_keep_ends_in_a_timeout(
    ollama: Ollama, driver: OllamaDriver, gate: Gate
) -> None:
    ollama.add("tiny", lambda turn: ["one", gate])
    chat = chat_of(await loaded(driver, timeout_s=0.2))
    with pytest.raises(TimedOut, match="timeout_s"):
        await chat.ainvoke("hi")
    await gate.abandoned.wait()


async def test_a_request_langchain_cannot_write_is_invalid(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    chat = chat_of(await loaded(driver))
    with pytest.raises(Invalid, match="cannot be asked"):
        await chat.ainvoke([("user", [{"type": "hologram"}])])


async def test_tools_are_written_into_the_prompt_of_a_model_that_takes_none(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    call = '{"name": "weather", "arguments": {"city": "Bern"}}'
    ollama.add("tiny", call, capabilities=("completion",))
    chat = chat_of(await loaded(driver))

    answer = await chat.bind_tools([weather]).ainvoke("hi")

    [body] = ollama.asked("/api/chat")
    assert not body.get("tools")
    assert "weather: The weather of a city." in body["messages"][0]["content"]
    assert [each["args"] for each in answer.tool_calls] == [{"city": "Bern"}]


@pytest.mark.parametrize(("reasoning", "asked"), [(None, None), (True, True), ("low", "low")])
async def test_thinking_is_handed_on_whether_or_not_it_was_asked_for(
    ollama: Ollama, driver: OllamaDriver, reasoning: Any, asked: Any
) -> None:
    ollama.add("tiny", says([Thinking("Hmm."), "Yes."]), capabilities=("completion", "thinking"))

    answer = await chat_of(await loaded(driver, reasoning=reasoning)).ainvoke("hi")

    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Yes.", "Hmm.")
    assert ollama.asked("/api/chat")[0].get("think") == asked


async def test_a_model_told_not_to_think_does_not(ollama: Ollama, driver: OllamaDriver) -> None:
    ollama.add("tiny", says([Thinking("Hmm."), "Yes."]), capabilities=("completion", "thinking"))

    answer = await chat_of(await loaded(driver, reasoning=False)).ainvoke("hi")

    assert (answer.text, answer.additional_kwargs) == ("Yes.", {})
    assert ollama.asked("/api/chat")[0]["think"] is False


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def test_the_role_chat_takes_ollama_and_falls_to_the_reader_when_it_goes(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.add("embeds", capabilities=("embedding",))
    ollama.add("tiny", "Yes.")
    async with open_models(load_settings(home=tmp_path, ollama_url=ollama.url)) as models:
        async with models.lease("chat", "chat", tenant=TENANT) as lease:
            assert lease.model.name == "ollama/tiny"
            assert (await lease.chat.ainvoke("hi")).text == "Yes."
            ollama.stop()
            with pytest.raises(Unavailable):
                await lease.chat.ainvoke("hi")
        with pytest.raises(Unavailable, match="'ollama/\\*' cannot be had now") as caught:
            await asked_by_role(models)
        assert caught.value.details["state"] == "unreachable"


async def asked_by_role(models: Models) -> None:
    async with models.lease("chat", "chat", tenant=TENANT) as lease:
        assert lease.model.backend == "reader"
        reasons = {each.name: each.why for each in lease.choice.passed_over}
        assert "does not answer" in reasons["ollama/*"]
        await lease.chat.ainvoke("hi")


async def test_closing_the_models_leaves_nothing_in_ollama(ollama: Ollama, tmp_path: Path) -> None:
    ollama.add("tiny")
    async with open_models(load_settings(home=tmp_path, ollama_url=ollama.url)) as models:
        async with models.lease("ollama/tiny", "chat", tenant=TENANT):
            assert ollama.loaded == ["tiny:latest"]
    assert ollama.loaded == []
