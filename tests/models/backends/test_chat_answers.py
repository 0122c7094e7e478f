"""What models write, as every chat back end hands it on: text, thinking, calls, and its end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.runnables import Runnable

from config.errors import Invalid
from models.backends.ollama.driver import OllamaDriver
from models.backends.openai.driver import OpenAIDriver
from models.capabilities.chat import SchemaBinder
from models.catalog.spec import ModelSpec
from models.output.messages import cut_of, finish_message, thinking_of
from models.scheduling.requirement import MemoryRequirement
from tests.models.backends.test_chat_contract import driver_of
from tests.support.ollama import Ollama
from tests.support.script import Call, Failure, Gate, Reply, Thinking, Turn, says

CALL = json.dumps({"name": "weather", "arguments": {"city": "Paris"}})
SCHEMA = {"title": "labels", "type": "object", "properties": {"labels": {"type": "array"}}}
Ask = Callable[[Runnable[Any, Any]], Awaitable[AIMessage]]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=["ollama", "openai"])
async def chat(
    request: pytest.FixtureRequest, ollama: Ollama, tmp_path: Path
) -> AsyncIterator[BaseChatModel]:
    ollama.add("tiny", capabilities=("completion", "tools", "thinking"))
    options = {"base_url": f"{ollama.url}/v1"} if request.param == "openai" else {}
    fields = {"name": "mine", "task": "chat", "backend": request.param, "source": "tiny"}
    spec = ModelSpec.model_validate({**fields, "options": options})
    async with AsyncExitStack() as stack:
        driver = cast(OllamaDriver | OpenAIDriver, driver_of(request.param, ollama.url, tmp_path))
        stack.push_async_callback(driver.close)
        loaded = await driver.load(spec, MemoryRequirement(), lambda news: None)
        stack.push_async_callback(loaded.unload)
        yield cast(BaseChatModel, loaded.capability)


async def stream(chat: Runnable[Any, Any]) -> AIMessage:
    whole: AIMessageChunk | None = None
    async for chunk in chat.astream("hi"):
        whole = chunk if whole is None else whole + chunk
    return finish_message(cast(AIMessage, message_chunk_to_message(cast(AIMessageChunk, whole))))


async def invoke(chat: Runnable[Any, Any]) -> AIMessage:
    return cast(AIMessage, await chat.ainvoke("hi"))


async def block(chat: Runnable[Any, Any]) -> AIMessage:
    return cast(AIMessage, await asyncio.to_thread(chat.invoke, "hi"))


@pytest.fixture(params=[stream, invoke, block])
def ask(request: pytest.FixtureRequest) -> Ask:
    return cast(Ask, request.param)


def answer_with(ollama: Ollama, *replies: Reply) -> None:
    ollama.add("tiny", says(*replies), capabilities=("completion", "tools", "thinking"))


def bound_to(tokens: int, chat: BaseChatModel) -> Runnable[Any, Any]:
    if chat.__class__.__name__ == "OllamaChat":
        return chat.bind(options={"num_predict": tokens})
    return chat.bind(max_tokens=tokens)


@pytest.mark.parametrize(
    "reply",
    [
        [Thinking("It is asked."), "Yes."],
        "<think>It is asked.</think>\n\nYes.",
        ["<thi", "nk>It is asked.</th", "ink>\n\nYes."],
        "It is asked.</think>\n\nYes.",
    ],
)
async def test_thinking_stands_beside_the_text(
    ollama: Ollama, chat: BaseChatModel, ask: Ask, reply: Reply
) -> None:
    answer_with(ollama, reply)

    answer = await ask(chat)

    assert (answer.text, thinking_of(answer)) == ("Yes.", "It is asked.")


async def test_model_whose_prompt_opens_its_thinking_shows_it_as_text_once(
    ollama: Ollama, chat: BaseChatModel
) -> None:
    answer_with(ollama, "So.</think>Yes.")

    first = [str(chunk.text) async for chunk in chat.astream("hi")]
    second = [str(chunk.text) async for chunk in chat.astream("hi")]

    assert "So." in "".join(first)
    assert "".join(second) == "Yes."


@pytest.mark.parametrize(
    "reply",
    [
        Call("weather", {"city": "Paris"}),
        CALL,
        ["I look. ", "```json\n", CALL, "\n```"],
        "{" + CALL + "}",
        f"<tool_call>{CALL}</tool_call>",
    ],
)
async def test_calls_are_found_however_the_server_hands_them_on(
    ollama: Ollama, chat: BaseChatModel, ask: Ask, reply: Reply
) -> None:
    answer_with(ollama, reply)

    answer = await ask(chat.bind_tools([weather]))

    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [
        ("weather", {"city": "Paris"})
    ]
    assert answer.text in ("", "I look. ")


async def test_nothing_of_a_call_is_streamed_as_text(ollama: Ollama, chat: BaseChatModel) -> None:
    answer_with(ollama, list(f"I look.\n{CALL}"))

    chunks = [str(chunk.text) async for chunk in chat.bind_tools([weather]).astream("hi")]

    assert "".join(chunks) == "I look.\n"


async def test_without_tools_the_same_text_stays(
    ollama: Ollama, chat: BaseChatModel, ask: Ask
) -> None:
    answer_with(ollama, CALL)

    answer = await ask(chat)

    assert (answer.text, answer.tool_calls) == (CALL, [])


async def test_an_answer_at_its_bound_of_tokens_is_cut(
    ollama: Ollama, chat: BaseChatModel, ask: Ask
) -> None:
    answer_with(ollama, "One two three four five.")

    cut, whole = await ask(bound_to(3, chat)), await ask(chat)

    assert (cut.text, cut_of(cut)) == ("One two three", "length")
    assert (whole.text, cut_of(whole)) == ("One two three four five.", "")


async def test_an_answer_that_loops_at_its_bound_of_tokens_is_cut_as_a_loop(
    ollama: Ollama, chat: BaseChatModel, ask: Ask
) -> None:
    """A low bound ends it before it is long enough to be stopped."""
    answer_with(ollama, "Well: " + "so it is. " * 40)

    answer = await ask(bound_to(40, chat))

    assert (answer.text, cut_of(answer)) == ("Well: so it is.", "repetition")


async def test_an_answer_that_goes_round_in_circles_is_stopped_at_the_server(
    ollama: Ollama, chat: BaseChatModel, ask: Ask, gate: Gate
) -> None:
    answer_with(ollama, ["Well. ", *["So it is. "] * 100, gate, "The end."])

    answer = await ask(chat)

    assert answer.text == "Well. So it is."
    assert cut_of(answer) == "repetition"
    await gate.abandoned.wait()


async def test_an_answer_that_its_server_broke_off_in_a_loop_is_cut(
    ollama: Ollama, chat: BaseChatModel, ask: Ask
) -> None:
    answer_with(ollama, "Well: " + "ha " * 40)

    answer = await ask(chat)

    assert (answer.text, cut_of(answer)) == ("Well: ha", "repetition")


async def test_json_may_repeat_itself(ollama: Ollama, chat: BaseChatModel) -> None:
    labels = {"labels": ["good", "bad"] * 60}
    answer_with(ollama, json.dumps(labels))

    answer = await chat.with_structured_output(SCHEMA, method="json_schema").ainvoke("hi")

    assert answer == labels


@pytest.mark.parametrize(
    "schema", [SCHEMA, {"type": "array", "items": {"enum": [1, 2]}}, {"$ref": "#/$defs/a"}]
)
async def test_bound_schema_reaches_the_server_as_it_is(
    ollama: Ollama, chat: BaseChatModel, schema: dict[str, Any]
) -> None:
    asked: list[Turn] = []
    ollama.add("tiny", lambda turn: asked.append(turn) or "{}")

    await cast(SchemaBinder, chat).bind_schema(schema).ainvoke("hi")

    sent = asked[0].format
    assert schema in (sent, (sent.get("json_schema") or {}).get("schema"))


@pytest.mark.parametrize(
    "failure",
    [
        Failure("invalid JSON schema in format", 400),
        Failure("JSON schema conversion failed", 500),
    ],
)
async def test_server_that_refuses_a_schema_is_asked_without(
    ollama: Ollama, chat: BaseChatModel, failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    ollama.add("tiny", lambda turn: failure if turn.format else "{}")
    caplog.set_level(logging.DEBUG, "models.backends")

    answer = await cast(SchemaBinder, chat).bind_schema(SCHEMA).ainvoke("hi")

    assert answer.text == "{}"
    assert failure.error in caplog.text


async def test_failure_without_a_schema_comes_once(ollama: Ollama, chat: BaseChatModel) -> None:
    asked: list[Turn] = []
    ollama.add("tiny", lambda turn: asked.append(turn) or Failure("no", 400))

    with pytest.raises(Invalid, match="no"):
        await chat.ainvoke("hi")

    assert len(asked) == 1
