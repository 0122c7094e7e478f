"""Tiny GGUF models in their worker, served by the real llama.cpp."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableBinding

from config.errors import Invalid, MotetError, Unavailable
from config.settings import load_settings
from models.backends.common.written_tools import INTRODUCTION
from models.backends.llamacpp.chat import LlamaCppChat
from models.backends.llamacpp.driver import LlamaCppDriver
from models.backends.llamacpp.model import LlamaCppModel
from models.backends.openai.caption import data_url
from models.capabilities import Caption, Embed
from models.capabilities.prompt_progress import PromptProgress
from models.catalog.spec import ModelSpec
from models.driver import Driver, DriverContext
from models.lease import ModelSource
from models.manager import open_models
from tests.models.backends.contracts.caption import CaptionContract, picture
from tests.models.backends.contracts.embed import EmbedContract
from tests.support.tenants import TENANT
from tests.support.tiny.gguf_files import PATCHES, TEMPLATE, write_model, write_projector
from tests.support.tiny.models import loaded, opened

BOUND_S = 120.0
ENDLESS = {"context": 60_000, "max_tokens": 50_000}
"""So many tokens take longer than the bound."""
SCHEMA = {
    "title": "weather",
    "type": "object",
    "properties": {"warm": {"type": "boolean"}, "count": {"enum": [1, 2, 3]}},
    "required": ["warm", "count"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llamacpp")
    write_model(folder / "tiny.gguf")
    write_model(folder / "long.gguf", context=100_000)
    write_model(folder / "mute.gguf", template=None)
    write_model(folder / "varied.gguf", constant=0)
    write_projector(folder / "mmproj.gguf")
    return folder


@pytest.fixture(scope="module")
async def driver(folder: Path) -> AsyncIterator[Driver]:
    async with opened("llamacpp", folder) as driver:
        yield driver


def declare(source: Path, task: str = "chat", **options: Any) -> ModelSpec:
    """A model of models.yaml."""
    fields = {"name": "mine", "task": task, "backend": "llamacpp", "source": str(source)}
    return ModelSpec.model_validate({**fields, "options": {"threads": 1, **options}})


@asynccontextmanager
async def load(driver: Driver, source: Path, **options: Any) -> AsyncIterator[LlamaCppModel]:
    async with loaded(driver, declare(source, **options)) as model:
        yield cast(LlamaCppModel, model)


@pytest.fixture(scope="module")
async def model(driver: Driver, folder: Path) -> AsyncIterator[LlamaCppModel]:
    async with load(driver, folder / "tiny.gguf", max_tokens=20) as model:
        yield model


@pytest.fixture(scope="module")
async def endless(driver: Driver, folder: Path) -> AsyncIterator[LlamaCppModel]:
    async with load(driver, folder / "long.gguf", batch=16, **ENDLESS) as model:
        yield model


def chat(model: LlamaCppModel) -> LlamaCppChat:
    return cast(LlamaCppChat, model.capability)


def worker_of(model: LlamaCppModel) -> psutil.Process:
    return psutil.Process(model._worker.pid)


def socket_of(model: LlamaCppModel) -> Path:
    (path,) = {
        Path(connection.laddr)
        for connection in worker_of(model).net_connections("unix")
        if str(connection.laddr).endswith(".sock")
    }
    return path


def find_worker(name: str) -> psutil.Process:
    (worker,) = {
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and name in child.cmdline()
    }
    return worker


async def ask_for_ever(writer: LlamaCppChat) -> None:
    while True:
        await writer.ainvoke("Talk.", max_tokens=1)


async def read_all(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


def count_read(answer: BaseMessage) -> int:
    """The tokens of an answer's prompt."""
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata
    return answer.usage_metadata["input_tokens"]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def test_answer_comes_in_pieces_and_tells_its_end_and_cost(model: LlamaCppModel) -> None:
    pieces = [piece async for piece in chat(model).astream("Talk.")]

    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert isinstance(whole, AIMessageChunk)
    assert len(pieces) > 10
    assert whole.text.strip()
    assert whole.response_metadata["finish_reason"] == "length"
    assert whole.response_metadata["model_name"] == "mine"
    assert whole.usage_metadata
    assert whole.usage_metadata["output_tokens"] == 20


async def test_sampling_of_the_options_and_of_one_call_is_obeyed(
    driver: Driver, folder: Path
) -> None:
    sampling = {"temperature": 2.0, "top_k": 20, "min_p": 0.01, "repeat_penalty": 1.1}
    async with load(driver, folder / "tiny.gguf", max_tokens=30, **sampling) as model:
        writer = chat(model)

        async def write(**choice: Any) -> str:
            return str((await writer.ainvoke("Talk.", **choice)).text)

        first = await write(seed=5)
        assert await write(seed=5) == first
        assert await write(seed=6) != first
        assert await write(temperature=0) == await write(temperature=0)
        assert len(await write(max_tokens=3)) <= 3


async def test_answer_that_nobody_bounds_ends_at_half_the_context(
    driver: Driver, folder: Path
) -> None:
    async with load(driver, folder / "tiny.gguf", context=512, seed=1) as model:
        answer = await chat(model).ainvoke("Talk.")

    assert answer.response_metadata["finish_reason"] == "length"
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] == 256


async def test_prompt_longer_than_the_context_is_refused_with_both_numbers(
    model: LlamaCppModel,
) -> None:
    with pytest.raises(Invalid, match="holds 512") as caught:
        await chat(model).ainvoke("long " * 300)

    assert caught.value.code == "context_overflow"
    assert caught.value.details["context"] == 512
    assert caught.value.details["tokens"] > 512


async def test_context_is_known_to_whoever_leases_the_model(driver: Driver, folder: Path) -> None:
    async with load(driver, folder / "long.gguf", context=1024, slots=3) as model:
        profile = chat(model).profile

    assert profile["max_input_tokens"] == 1024
    assert profile["image_inputs"] is False


async def test_prompt_is_counted_as_it_is_read(model: LlamaCppModel) -> None:
    answer = await chat(model).ainvoke("Hello there.")

    tokens = await chat(model).count_tokens([HumanMessage("Hello there.")], {})

    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata
    assert tokens == answer.usage_metadata["input_tokens"]


async def test_answer_is_held_to_a_schema(model: LlamaCppModel) -> None:
    bound = chat(model).with_structured_output(SCHEMA, method="json_schema")

    answer = await bound.ainvoke("Is it warm?", max_tokens=200)

    assert isinstance(answer, dict)
    assert isinstance(answer["warm"], bool)
    assert answer["count"] in (1, 2, 3)


async def test_tools_are_told_to_a_model_whose_template_has_a_place_for_them(
    model: LlamaCppModel,
) -> None:
    alone, with_tools = [
        await writer.ainvoke("Is it warm?", max_tokens=2)
        for writer in (chat(model), chat(model).bind_tools([weather]))
    ]

    assert chat(model).takes_tools
    assert count_read(with_tools) > count_read(alone) + len("weather")


async def test_tools_are_written_into_the_prompt_of_a_model_whose_template_drops_them(
    driver: Driver, folder: Path
) -> None:
    """llama.cpp would leave them out without a word."""
    (folder / "plain.jinja").write_text("{% for each in messages %}{{ each.content }}{% endfor %}")

    async with load(driver, folder / "mute.gguf", chat_template=folder / "plain.jinja") as model:
        assert not chat(model).takes_tools
        bound = cast(RunnableBinding[Any, Any], chat(model).bind_tools([weather]))
        answer = await bound.ainvoke("Is it warm?", max_tokens=2)
        counted = await chat(model).count_tokens([HumanMessage("Is it warm?")], bound.kwargs)

    assert count_read(answer) > len(INTRODUCTION.split())
    assert counted == count_read(answer)


async def test_stream_given_up_frees_its_slot(endless: LlamaCppModel) -> None:
    stream = chat(endless).astream("Talk.")
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        async for _ in pieces:
            break

    async with asyncio.timeout(BOUND_S):
        assert (await chat(endless).ainvoke("Talk.", max_tokens=5)).text


async def test_cancelled_calls_free_their_slot_also_while_they_wait(endless: LlamaCppModel) -> None:
    began = asyncio.Event()

    async def read() -> None:
        async for _ in chat(endless).astream("Talk."):
            began.set()

    reading = [asyncio.create_task(read()) for _ in range(3)]
    async with asyncio.timeout(BOUND_S):
        await began.wait()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        assert (await chat(endless).ainvoke("Talk.", max_tokens=5)).text


async def test_more_callers_than_slots_are_all_answered(driver: Driver, folder: Path) -> None:
    async with load(driver, folder / "tiny.gguf", slots=2, max_tokens=10) as model:
        answers = await asyncio.gather(*(chat(model).ainvoke("Talk.") for _ in range(8)))

    assert all(answer.text for answer in answers)


async def test_long_prompt_is_told_while_it_is_read(endless: LlamaCppModel) -> None:
    chunks = [each async for each in chat(endless).astream("long " * 40, max_tokens=4)]

    progress = [each for each in chunks if isinstance(each, PromptProgress)]
    assert len(progress) > 3
    assert [each.processed for each in progress] == sorted({each.processed for each in progress})
    assert all(0 < each.processed < each.total for each in progress)
    assert all(each.content == "" for each in progress)


async def test_progress_adds_nothing_to_an_answer(endless: LlamaCppModel) -> None:
    answer = await chat(endless).ainvoke("other " * 40, max_tokens=4)

    assert isinstance(answer, AIMessage)
    assert len(answer.text) <= 4


async def test_same_prompt_is_read_once(endless: LlamaCppModel) -> None:
    """What a slot has read stays in its cache."""
    for _ in range(2):
        answer = await chat(endless).ainvoke("prefix " * 20, max_tokens=2)

    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata
    cached = answer.usage_metadata["input_token_details"]["cache_read"]
    assert cached >= answer.usage_metadata["input_tokens"] - 2


async def test_no_network_port_is_opened_and_the_socket_is_its_owners_alone(
    model: LlamaCppModel,
) -> None:
    assert worker_of(model).net_connections("inet") == []

    mode = stat.S_IMODE(socket_of(model).parent.stat().st_mode)
    assert mode == 0o700


async def test_socket_goes_with_the_model(driver: Driver, folder: Path) -> None:
    async with load(driver, folder / "tiny.gguf") as model:
        socket = socket_of(model)
        assert socket.exists()

    assert not socket.parent.exists()


async def test_killed_worker_is_a_loss_and_an_error_of_the_call(
    driver: Driver, folder: Path
) -> None:
    async with load(driver, folder / "long.gguf", **ENDLESS) as model:
        socket = socket_of(model)
        stream = chat(model).astream("Talk.")
        await anext(stream)
        os.kill(model._worker.pid, signal.SIGKILL)
        with pytest.raises(Unavailable) as caught:
            await read_all(stream)
        assert "SIGKILL" in await asyncio.wait_for(model.lost, BOUND_S)

    assert caught.value.code == "worker_died"
    assert not socket.parent.exists()


async def test_worker_whose_server_ended_is_ended_too(driver: Driver, folder: Path) -> None:
    """llama.cpp ends its server at this signal, and leaves the process."""
    async with load(driver, folder / "tiny.gguf") as model:
        os.kill(model._worker.pid, signal.SIGTERM)
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(ask_for_ever(chat(model)), BOUND_S)
        assert await asyncio.wait_for(model.lost, BOUND_S)

    assert caught.value.code == "worker_died"


async def test_killed_worker_is_loaded_anew_for_the_next_caller(folder: Path) -> None:
    (folder / "models.yaml").write_text(
        "models:\n  ours: {task: chat, backend: llamacpp, source: "
        f"'{folder / 'tiny.gguf'}', options: {{threads: 1, max_tokens: 5}}}}\n"
    )
    async with open_models(load_settings(home=folder)) as models:
        async with models.lease("ours", "chat", tenant=TENANT) as lease:
            assert (await lease.chat.ainvoke("Talk.")).text
        killed = find_worker("ours")
        killed.kill()

        async for attempt in models.attempts("ours", "chat", tenant=TENANT):
            async with attempt as lease:
                answer = await lease.chat.ainvoke("Talk.")

        assert answer.text
        assert find_worker("ours").pid != killed.pid


async def test_silent_model_is_ended(driver: Driver, folder: Path) -> None:
    async with load(driver, folder / "tiny.gguf", timeout_s=0.0001) as model:
        with pytest.raises(MotetError, match="option `timeout_s`") as caught:
            await chat(model).ainvoke("Talk.")
        assert "SIGKILL" in await asyncio.wait_for(model.lost, BOUND_S)

    assert caught.value.code == "model_timed_out"


async def test_measured_memory_includes_the_weights(model: LlamaCppModel) -> None:
    assert model.memory["ram"] > 20_000_000


async def test_model_without_a_chat_template_is_refused_unless_it_gets_one(
    driver: Driver, folder: Path
) -> None:
    spec = declare(folder / "mute.gguf")
    assert "chat_template" in (await driver.available(spec) or "")
    with pytest.raises(Unavailable) as caught:
        await driver.load(spec, driver.estimate(spec)[0], lambda news: None)
    assert caught.value.code == "chat_template_missing"

    (folder / "chat.jinja").write_text(TEMPLATE)
    options = {"chat_template": str(folder / "chat.jinja"), "max_tokens": 5}
    assert await driver.available(declare(folder / "mute.gguf", **options)) is None
    async with load(driver, folder / "mute.gguf", **options) as model:
        assert (await chat(model).ainvoke("Talk.")).text


@pytest.mark.parametrize(
    ("content", "code", "why"),
    [
        (None, "model_missing", "cannot be read"),
        (b"hello, world, this is no model", "model_missing", "no GGUF"),
        (b"GGUF\x03\x00\x00\x00" + bytes(16), "chat_template_missing", "chat template"),
        (b"GGUF\x07\x00\x00\x00" + bytes(16), "model_unreadable", "version 7"),
    ],
)
async def test_what_is_no_model_is_refused_before_a_worker_starts(
    driver: Driver, tmp_path: Path, content: bytes | None, code: str, why: str
) -> None:
    file = tmp_path / "broken.gguf"
    if content is not None:
        file.write_bytes(content)

    spec = declare(file)

    assert why in (await driver.available(spec) or "")
    with pytest.raises(Unavailable, match=why) as caught:
        await driver.load(spec, driver.estimate(spec)[0], lambda news: None)
    assert caught.value.code == code


async def test_damaged_weights_are_told_in_the_words_of_llamacpp(
    driver: Driver, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "cut.gguf"
    file.write_bytes((folder / "tiny.gguf").read_bytes()[:-10_000])
    spec = declare(file)

    with pytest.raises(Unavailable, match="corrupted or incomplete") as caught:
        await driver.load(spec, driver.estimate(spec)[0], lambda news: None)

    assert caught.value.code == "model_unreadable"


@pytest.mark.parametrize("options", [{"projector": "/no/file"}, {"chat_template": "/no/file"}])
async def test_file_of_an_option_that_is_not_there_is_named(
    driver: Driver, folder: Path, options: dict[str, Any]
) -> None:
    problem = await driver.available(declare(folder / "tiny.gguf", **options))

    assert f"options.{next(iter(options))}: there is no file" in (problem or "")


async def test_caption_without_a_projector_is_not_available(driver: Driver, folder: Path) -> None:
    problem = await driver.available(declare(folder / "tiny.gguf", task="caption"))

    assert "projector" in (problem or "")


def test_estimate_of_an_unknown_file_is_made_all_the_same(folder: Path) -> None:
    context = DriverContext(load_settings(home=folder), {}, cast(ModelSource, None))

    (need,) = LlamaCppDriver(context).estimate(declare(folder / "absent.gguf"))

    assert need.memory["ram"] > 0


async def test_chat_model_with_a_projector_sees_pictures(driver: Driver, folder: Path) -> None:
    options = {"projector": str(folder / "mmproj.gguf"), "max_tokens": 5}
    parts: list[str | dict[str, Any]] = [
        {"type": "text", "text": "Look."},
        {"type": "image_url", "image_url": {"url": data_url(picture())}},
    ]

    async with load(driver, folder / "tiny.gguf", **options) as model:
        text = await chat(model).ainvoke([HumanMessage("Look.")])
        seen = await chat(model).ainvoke([HumanMessage(parts)])
        assert chat(model).profile["image_inputs"]

    assert count_read(seen) >= count_read(text) + PATCHES


async def test_projector_of_another_model_is_told(
    driver: Driver, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mmproj.gguf"
    file.write_bytes((folder / "tiny.gguf").read_bytes())
    spec = declare(folder / "tiny.gguf", projector=str(file))

    with pytest.raises(Unavailable) as caught:
        await driver.load(spec, driver.estimate(spec)[0], lambda news: None)

    assert caught.value.code == "model_unreadable"


class TestCaption(CaptionContract):
    opens = True

    @pytest.fixture(scope="class")
    async def seer(self, driver: Driver, folder: Path) -> AsyncIterator[Caption]:
        options = {"task": "caption", "projector": str(folder / "mmproj.gguf")}
        async with load(driver, folder / "long.gguf", context=4096, **options) as model:
            yield cast(Caption, model.capability)


class TestEmbed(EmbedContract):
    near = 1e-2

    @pytest.fixture(scope="class")
    async def embedder(self, driver: Driver, folder: Path) -> AsyncIterator[Embed]:
        async with load(driver, folder / "varied.gguf", task="embed", slots=2) as model:
            yield cast(Embed, model.capability)
