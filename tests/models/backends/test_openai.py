from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel

from config.errors import Busy, Invalid, MotetError, TimedOut, Unavailable
from config.settings import load_settings
from models.backends.openai.driver import OpenAIDriver, OpenAIModel
from models.catalog.spec import ModelSpec
from models.driver import DriverContext
from models.lease import ModelSource
from models.scheduling.requirement import MemoryRequirement
from tests.support.ollama import Ollama
from tests.support.script import RUNNER_DIED, Drop, Failure, Gate, says

KEY = "sk-very-secret"


def spec(url: str, source: str = "tiny", **options: Any) -> ModelSpec:
    fields = {"name": "mine", "task": "chat", "backend": "openai", "source": source}
    return ModelSpec.model_validate({**fields, "options": {"base_url": f"{url}/v1", **options}})


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[OpenAIDriver]:
    context = DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None))
    driver = OpenAIDriver(context)
    yield driver
    await driver.close()


Load = Callable[[ModelSpec], Awaitable[BaseChatModel]]


@pytest.fixture
async def load(driver: OpenAIDriver) -> AsyncIterator[Load]:
    loaded: list[OpenAIModel] = []

    async def load(spec: ModelSpec) -> BaseChatModel:
        loaded.append(await driver.load(spec, MemoryRequirement(), lambda news: None))
        return loaded[-1].capability

    yield load
    for model in loaded:
        await model.unload()


async def test_a_server_of_one_model_takes_any_name_for_it(
    ollama: Ollama, driver: OpenAIDriver
) -> None:
    ollama.add("the-only-one.gguf")
    assert await driver.available(spec(ollama.url, "what I call it")) is None


async def test_a_source_not_in_the_list_is_told_with_those_that_are(
    ollama: Ollama, driver: OpenAIDriver
) -> None:
    ollama.add("here")
    ollama.add("there")
    why = await driver.available(spec(ollama.url, "nowhere")) or ""
    assert "the model of 'mine'" in why
    assert "here:latest" in why


async def test_the_key_comes_from_the_environment_and_is_never_told(
    serve_ollama: Callable[..., Ollama],
    driver: OpenAIDriver,
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve_ollama(api_key=KEY)
    server.add("tiny", "Yes.")
    keyed = spec(server.url, api_key_env="MY_KEY")
    assert "MY_KEY is not set" in (await driver.available(keyed) or "")
    monkeypatch.setenv("MY_KEY", KEY)
    assert await driver.available(keyed) is None
    chat = await load(keyed)
    assert (await chat.ainvoke("hi")).text == "Yes."
    assert KEY not in repr(chat)


async def test_a_refused_key_is_told_by_its_variable(
    serve_ollama: Callable[..., Ollama],
    driver: OpenAIDriver,
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve_ollama(api_key=KEY)
    server.add("tiny")
    monkeypatch.setenv("MY_KEY", KEY)
    chat = await load(spec(server.url, api_key_env="MY_KEY"))
    server.api_key = "changed"
    with pytest.raises(Unavailable, match="MY_KEY") as caught:
        await chat.ainvoke("hi")
    assert caught.value.code == "model_forbidden"
    assert KEY not in f"{caught.value.as_dict()}{caught.value}"


async def test_a_key_of_the_environment_is_not_sent_to_a_server_that_was_given_none(
    ollama: Ollama, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    ollama.add("tiny")
    await (await load(spec(ollama.url))).ainvoke("hi")
    assert all(KEY not in seen.headers.get("authorization", "") for seen in ollama.requests)


FAILURES: list[tuple[Any, type[MotetError], str]] = [
    (Failure("slow down", 429, {"retry-after": "7"}), Busy, "model_busy"),
    (Failure("server busy", 503), Busy, "model_busy"),
    (Failure("bad temperature", 400), Invalid, "model_refused"),
    (Failure("this exceeds the context", 400), Invalid, "context_overflow"),
    (Failure("model 'tiny' not found", 404), Unavailable, "model_missing"),
    (Failure("CUDA error", 500), Unavailable, "model_failed"),
    (["one", RUNNER_DIED], Unavailable, "response_incomplete"),
    (["one", Drop()], Unavailable, "model_connection_lost"),
]


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
    ids=[f"{code}-{number}" for number, (_, _, code) in enumerate(FAILURES)],
)
@pytest.mark.parametrize("way", list(ASKED))
async def test_a_failure_of_the_server_comes_in_our_families(
    ollama: Ollama, load: Load, reply: Any, family: type[MotetError], code: str, way: str
) -> None:
    ollama.add("tiny", says(reply))
    chat = await load(spec(ollama.url))
    with pytest.raises(family) as caught:
        await ASKED[way](chat)
    assert caught.value.code == code
    assert len(ollama.asked("/v1/chat/completions")) == 1  # never tried again behind our back
    if code == "model_busy" and isinstance(reply, Failure) and reply.headers:
        assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("way", list(ASKED))
async def test_server_that_refuses_tools_is_asked_with_tools_in_the_prompt_from_then_on(
    ollama: Ollama, load: Load, way: str
) -> None:
    ollama.add("tiny", capabilities=("completion",))  # /v1 does not tell
    chat = await load(spec(ollama.url))
    bound = chat.bind_tools([{"name": "weather", "description": "Tell the weather."}])

    for _ in range(2):
        await ASKED[way](cast(BaseChatModel, bound))

    bodies = ollama.asked("/v1/chat/completions")
    assert ["tools" in body for body in bodies] == [True, False, False]
    assert all("weather: Tell" in body["messages"][0]["content"] for body in bodies[1:])


async def test_request_with_tools_that_fails_for_another_reason_fails(
    ollama: Ollama, load: Load
) -> None:
    ollama.add("tiny", says(Failure("bad temperature", 400)), capabilities=("completion", "tools"))
    chat = await load(spec(ollama.url))

    with pytest.raises(Invalid, match="bad temperature"):
        await chat.bind_tools([{"name": "weather"}]).ainvoke("hi")

    assert len(ollama.asked("/v1/chat/completions")) == 1


async def test_silence_in_a_stream_times_out_and_closes_it(
    ollama: Ollama, load: Load, gate: Gate
) -> None:
    ollama.add("tiny", lambda turn: ["one", gate])
    chat = await load(spec(ollama.url, timeout_s=0.3))
    with pytest.raises(TimedOut):
        await chat.ainvoke("hi")
    await gate.abandoned.wait()


async def test_a_cancelled_call_closes_its_stream(ollama: Ollama, load: Load, gate: Gate) -> None:
    ollama.add("tiny", lambda turn: ["one", gate])
    chat = await load(spec(ollama.url))
    call = asyncio.create_task(chat.ainvoke("hi"))
    await gate.reached.wait()
    call.cancel()
    await gate.abandoned.wait()


async def test_the_limit_on_tokens_is_sent_by_the_name_every_server_knows(
    ollama: Ollama, load: Load
) -> None:
    ollama.add("tiny")
    await (await load(spec(ollama.url, max_tokens=2))).ainvoke("hi")
    assert ollama.asked("/v1/chat/completions")[0]["max_tokens"] == 2


async def test_extra_fields_go_into_the_body_as_they_are_and_before_ours(
    ollama: Ollama, load: Load
) -> None:
    ollama.add("tiny")
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "max_tokens": 5}

    await (await load(spec(ollama.url, max_tokens=2, top_k=3, extra=extra))).ainvoke("hi")

    asked = ollama.asked("/v1/chat/completions")[0]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}
    assert (asked["max_tokens"], asked["top_k"], asked["model"]) == (5, 3, "tiny")


async def test_extra_field_that_motet_writes_itself_is_refused(
    ollama: Ollama, driver: OpenAIDriver
) -> None:
    why = await driver.available(spec(ollama.url, extra={"stream": False})) or ""

    assert "mine: options.extra: `stream` is written by Motet; leave it out." in why


@pytest.mark.parametrize("way", ASKED)
async def test_server_that_is_gone_is_unreachable(
    serve_ollama: Callable[..., Ollama], load: Load, way: str
) -> None:
    """langchain-openai wraps OpenAI's error, and that wraps the one of the connection."""
    server = serve_ollama()
    server.add("tiny", "Yes.")
    chat = await load(spec(server.url))
    server.stop()

    with pytest.raises(Unavailable, match="No server answers") as caught:
        await ASKED[way](chat)

    assert caught.value.code == "openai_unreachable"
    assert caught.value.details["model"] == "mine"


@pytest.mark.parametrize(
    "failure",
    [Failure("model 'tiny' not found", 404), Failure("bad temperature", 400), Drop()],
    ids=["missing", "refused", "lost"],
)
async def test_errors_name_the_model_as_models_yaml_does(
    ollama: Ollama, load: Load, failure: Any
) -> None:
    ollama.add("tiny", lambda turn: [failure])
    chat = await load(spec(ollama.url))

    with pytest.raises(MotetError) as caught:
        await chat.ainvoke("hi")

    assert caught.value.details["model"] == "mine"
    assert "'mine'" in caught.value.message


async def test_server_that_loads_its_model_is_starting(ollama: Ollama, load: Load) -> None:
    ollama.add("tiny", lambda turn: [Failure("Loading model", 503)])
    chat = await load(spec(ollama.url))

    with pytest.raises(Unavailable, match="'mine' is starting") as caught:
        await chat.ainvoke("hi")

    assert caught.value.code == "model_starting"
    assert caught.value.retry_after_s


async def test_a_wrong_option_is_named(ollama: Ollama, driver: OpenAIDriver) -> None:
    assert "options.base_url" in (await driver.available(spec("ftp://x")) or "")


class Verdict(BaseModel):
    good: bool


async def test_class_of_an_answer_that_reaches_its_bound_names_the_bound(
    ollama: Ollama, load: Load
) -> None:
    """OpenAI's client reads such answers itself, and raises where they are cut."""
    ollama.add("tiny", '{"good": true}')
    chat = await load(spec(ollama.url))
    bound = chat.with_structured_output(Verdict, method="json_schema")

    with pytest.raises(Unavailable, match="max_tokens") as caught:
        await bound.ainvoke("Is it?", max_tokens=1)

    assert (caught.value.code, caught.value.permanent) == ("structured_output_invalid", True)
