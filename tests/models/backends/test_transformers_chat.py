"""Causal models in their worker, as LangChain chat models."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from pydantic import BaseModel

from config.errors import Invalid, Unavailable
from graphs.chat.output_schema import OutputSchema
from models.backends.common.worker_model import SerialWorkerModel
from models.backends.transformers.chat import TransformersChat
from models.driver import Driver
from models.output.messages import thinking_of
from tests.support.tiny.models import loaded, made, opened, spec

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}<|assistant|>"
)
BOUND_S = 120.0
ENDLESS = {"context": 100_000, "max_tokens": 90_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("chat"), "caller", "thinker", "babbler", "mute")


@pytest.fixture(scope="module")
async def driver(folder: Path) -> AsyncIterator[Driver]:
    async with opened("transformers", folder) as driver:
        yield driver


@pytest.fixture(scope="module")
async def caller(driver: Driver, folder: Path) -> AsyncIterator[TransformersChat]:
    model = spec("transformers", "chat", folder / "caller", temperature=0)
    async with loaded(driver, model) as found:
        yield cast(TransformersChat, found.capability)


@pytest.fixture(scope="module")
async def babbler(driver: Driver, folder: Path) -> AsyncIterator[SerialWorkerModel]:
    async with loaded(driver, spec("transformers", "chat", folder / "babbler", **ENDLESS)) as found:
        yield cast(SerialWorkerModel, found)


def chat(model: SerialWorkerModel) -> BaseChatModel:
    return cast(BaseChatModel, model.capability)


class Verdict(BaseModel):
    good: bool


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def test_an_answer_comes_in_pieces_and_tells_its_end_and_cost(
    caller: TransformersChat,
) -> None:
    pieces = [piece async for piece in caller.astream("Count to five.")]
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert len(pieces) > 3
    assert whole.text == "One two three four five."
    assert isinstance(whole, AIMessageChunk)
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.response_metadata["model_name"] == "mine"
    assert whole.usage_metadata
    assert whole.usage_metadata["output_tokens"] == len("One two three four five.") + 1


async def test_an_answer_ends_before_a_stop(caller: TransformersChat) -> None:
    answer = await caller.ainvoke("Count to five.", stop=["three"])
    assert answer.text == "One two "
    assert answer.response_metadata["finish_reason"] == "stop"


async def test_an_answer_is_cut_at_its_most_tokens(caller: TransformersChat) -> None:
    answer = await caller.ainvoke("Count to five.", max_tokens=7)
    assert answer.text == "One two"
    assert answer.response_metadata["finish_reason"] == "length"


async def test_answer_that_nobody_bounds_ends_at_half_the_context(
    driver: Driver, folder: Path
) -> None:
    model = spec("transformers", "chat", folder / "babbler", context=128, temperature=None)
    async with loaded(driver, model) as found:
        answer = await cast(BaseChatModel, found.capability).ainvoke("Talk.")

    assert answer.response_metadata["finish_reason"] == "length"
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] == 64


async def test_a_prompt_longer_than_the_context_is_refused(driver: Driver, folder: Path) -> None:
    model = spec("transformers", "chat", folder / "caller", context=64)
    async with loaded(driver, model) as found:
        with pytest.raises(Invalid, match="option `context`") as caught:
            await cast(BaseChatModel, found.capability).ainvoke("long " * 20)
    assert caught.value.code == "context_overflow"


async def test_the_context_is_known_and_a_prompt_is_counted_as_it_is_written(
    caller: TransformersChat,
) -> None:
    answer = await caller.ainvoke("Count to five.")

    tokens = await caller.count_tokens([HumanMessage("Count to five.")], {})

    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata
    assert tokens == answer.usage_metadata["input_tokens"]
    assert (caller.profile or {})["max_input_tokens"] == 8192


async def test_a_seed_repeats_an_answer_and_none_varies_it(babbler: SerialWorkerModel) -> None:
    async def said(**choice: Any) -> str:
        answer = await chat(babbler).ainvoke("Talk.", max_tokens=30, temperature=1.0, **choice)
        return str(answer.text)

    assert await said(seed=5) == await said(seed=5)
    assert await said() != await said()


async def test_a_tool_is_called_with_its_arguments(caller: TransformersChat) -> None:
    answer = await caller.bind_tools([weather]).ainvoke("Weather?")
    assert isinstance(answer, AIMessage)
    assert answer.text == ""
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [
        ("weather", {"city": "Paris"})
    ]


async def test_what_follows_a_prompt_that_opens_thinking_is_thinking(
    driver: Driver, folder: Path, tmp_path: Path
) -> None:
    template = tmp_path / "thinking.jinja"
    template.write_text(f"{TEMPLATE}<think>\n")
    model = spec("transformers", "chat", folder / "caller", chat_template=str(template))

    async with loaded(driver, model) as found:
        answer = await cast(BaseChatModel, found.capability).ainvoke("Count.", max_tokens=9)

    assert answer.text == ""
    assert len(answer.additional_kwargs["reasoning_content"]) > 3


async def test_an_answer_that_ends_with_its_last_token_is_whole(caller: TransformersChat) -> None:
    length = len("One two three four five.") + 1

    answer = await caller.ainvoke("Count to five.", max_tokens=length)

    assert answer.response_metadata["finish_reason"] == "stop"


async def test_a_template_that_refuses_a_system_message_gets_its_words_otherwise(
    caller: TransformersChat,
) -> None:
    answer = await caller.ainvoke([SystemMessage("Be brief."), HumanMessage("Count to five.")])
    assert answer.text


async def test_a_picture_in_a_message_is_refused(caller: TransformersChat) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    with pytest.raises(Invalid, match="text only") as caught:
        await caller.ainvoke([HumanMessage([part])])
    assert caught.value.code == "capability_unsupported"


async def test_half_a_character_does_no_harm(caller: TransformersChat) -> None:
    assert (await caller.ainvoke("cut \ud83d", max_tokens=3)).text


async def test_a_stream_given_up_frees_the_worker(babbler: SerialWorkerModel) -> None:
    async with asyncio.timeout(BOUND_S):
        stream = chat(babbler).astream("Talk.")
        async with aclosing(stream) as pieces:  # type: ignore[type-var]
            async for _ in pieces:
                break
        # It would babble on for minutes: an answer says that it stopped.
        assert (await chat(babbler).ainvoke("Talk.", max_tokens=5)).text


async def test_a_cancelled_call_frees_the_worker(babbler: SerialWorkerModel) -> None:
    began = asyncio.Event()

    async def read() -> None:
        async for _ in chat(babbler).astream("Talk."):
            began.set()

    async with asyncio.timeout(BOUND_S):
        reading = asyncio.create_task(read())
        await began.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert (await chat(babbler).ainvoke("Talk.", max_tokens=5)).text


async def test_many_calls_at_once_are_answered_one_after_the_other(
    caller: TransformersChat,
) -> None:
    async with asyncio.timeout(BOUND_S):
        answers = await asyncio.gather(*(caller.ainvoke("Count to five.") for _ in range(5)))
    assert {answer.text for answer in answers} == {"One two three four five."}


async def test_a_worker_killed_in_mid_stream_is_told_and_lost(driver: Driver, folder: Path) -> None:
    async def killed(model: SerialWorkerModel) -> None:
        async for _ in chat(model).astream("Talk."):
            os.kill(model._worker.pid, signal.SIGKILL)

    async with loaded(driver, spec("transformers", "chat", folder / "babbler", **ENDLESS)) as found:
        model = cast(SerialWorkerModel, found)
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(killed(model), BOUND_S)
        assert caught.value.code == "worker_died"
        assert "SIGKILL" in await asyncio.wait_for(model.lost, BOUND_S)


async def test_unloading_ends_the_process(driver: Driver, folder: Path) -> None:
    async with loaded(driver, spec("transformers", "chat", folder / "caller")) as found:
        worker = cast(SerialWorkerModel, found)._worker
        assert found.memory
        assert found.memory["ram"] > 0
    assert worker.exited.done()


async def test_a_model_without_a_chat_template_is_refused_or_given_one(
    driver: Driver, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="chat_template") as caught:
        async with loaded(driver, spec("transformers", "chat", folder / "mute")):
            pass
    assert caught.value.code == "chat_template_missing"
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages[0]['content'] }}")
    given = spec("transformers", "chat", folder / "mute", chat_template=str(template))
    async with loaded(driver, given) as found:
        able = cast(BaseChatModel, found.capability)
        assert (await able.ainvoke("Say.", max_tokens=3)).usage_metadata


ORDER = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["tea", "coffee", None]},
        "hot": {"type": "boolean"},
        "cups": {"type": "integer", "minimum": 1, "maximum": 12},
        "price": {"type": ["number", "null"], "minimum": 0, "maximum": 9.5},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 3},
        "milk": {"anyOf": [{"const": "none"}, {"$ref": "#/$defs/milk"}]},
    },
    "required": ["kind", "hot", "cups", "price", "names", "milk"],
    "additionalProperties": False,
    "$defs": {
        "milk": {
            "type": "object",
            "properties": {"of": {"enum": ["cow", "oat"]}},
            "required": ["of"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize("temperature", [0, 1.5])
async def test_random_weights_write_json_of_the_schema(
    babbler: SerialWorkerModel, temperature: float
) -> None:
    bound = cast(TransformersChat, chat(babbler)).bind_schema(ORDER)

    answer = await bound.ainvoke("Order.", temperature=temperature, seed=3, max_tokens=600)

    assert await OutputSchema(ORDER).describe_error(json.loads(answer.text)) is None
    assert answer.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "array", "items": {"enum": [1, 2]}, "maxItems": 3, "uniqueItems": True}, "uniqu"),
        ({"type": "number", "minimum": 0.5, "maximum": 1e30}, "not at all"),
    ],
)
async def test_what_a_constraint_cannot_do_is_logged_and_the_model_answers(
    caller: TransformersChat, caplog: pytest.LogCaptureFixture, schema: dict[str, Any], word: str
) -> None:
    caplog.set_level(logging.DEBUG, "models.backends.transformers")

    answer = await caller.bind_schema(schema).ainvoke("Count to five.")

    assert answer.text
    assert word in caplog.text


async def test_thinking_before_json_is_free(driver: Driver, folder: Path, tmp_path: Path) -> None:
    template = tmp_path / "thinking.jinja"
    template.write_text(f"{TEMPLATE}<think>")
    schema = {"enum": ["Two", "One", "Three"]}
    for options in ({}, {"chat_template": str(template)}):
        model = spec("transformers", "chat", folder / "thinker", temperature=0, **options)

        async with loaded(driver, model) as found:
            bound = cast(TransformersChat, found.capability).bind_schema(schema)
            answer = await bound.ainvoke("Count to five.")

        assert (thinking_of(answer), answer.text) == ("Hm.", '"One"')


async def test_structured_output_gives_what_the_class_describes(
    babbler: SerialWorkerModel,
) -> None:
    bound = chat(babbler).with_structured_output(Verdict)

    answer = await bound.ainvoke("Judge.")

    assert isinstance(answer, Verdict)


async def test_weights_that_lack_a_part_are_no_model(
    driver: Driver, folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (folder / "caller").iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    config = (broken / "config.json").read_text()
    (broken / "config.json").write_text(config.replace('hidden_layers": 3', 'hidden_layers": 4'))
    with pytest.raises(Unavailable, match="lack") as caught:
        async with loaded(driver, spec("transformers", "chat", broken)):
            pass
    assert caught.value.code == "model_unreadable"
