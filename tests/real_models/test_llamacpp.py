"""Real language models by the back end `llamacpp`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from config.errors import Unavailable
from models.backends.llamacpp.chat import LlamaCppChat
from models.backends.llamacpp.model import LlamaCppModel
from models.capabilities import Embed
from models.capabilities.prompt_progress import PromptProgress
from models.catalog.spec import ModelSpec
from models.driver import Driver
from tests.models.backends.contracts.embed import dot, numbers
from tests.real_models.catalog import GEMMA_BASE, QWEN_LARGE, QWEN_SMALL, SMALLEST, ModelFile
from tests.real_models.conftest import FindModel
from tests.support.tiny.models import loaded, opened
from tools.calculate import calculate_tool

SCHEMA = {
    "title": "city",
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}
CHAT_TEMPLATE = (
    "{% for each in messages %}{{ each.role }}: {{ each.content }}\n{% endfor %}assistant:"
)


def declare(source: Path, task: str = "chat", **options: Any) -> ModelSpec:
    fields = {"name": "mine", "task": task, "backend": "llamacpp", "source": str(source)}
    chosen = {"threads": 1, "context": 4096, **options}
    return ModelSpec.model_validate({**fields, "options": chosen})


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("llamacpp", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(
    scope="module", params=[SMALLEST, QWEN_SMALL, QWEN_LARGE], ids=lambda each: each.name
)
def chat_model(request: pytest.FixtureRequest) -> ModelFile:
    return cast(ModelFile, request.param)


@pytest.fixture(scope="module")
async def model(
    chat_model: ModelFile, find_model: FindModel, driver: Driver
) -> AsyncIterator[LlamaCppModel]:
    spec = declare(find_model(chat_model), temperature=0, max_tokens=60)
    async with loaded(driver, spec) as found:
        yield cast(LlamaCppModel, found)


@pytest.fixture(scope="module")
async def qwen(find_model: FindModel, driver: Driver) -> AsyncIterator[LlamaCppModel]:
    spec = declare(find_model(QWEN_SMALL), temperature=0, max_tokens=60, batch=64)
    async with loaded(driver, spec) as found:
        yield cast(LlamaCppModel, found)


def chat(model: LlamaCppModel) -> LlamaCppChat:
    return cast(LlamaCppChat, model.capability)


async def test_question_is_answered(model: LlamaCppModel, chat_model: ModelFile) -> None:
    answer = await chat(model).ainvoke("What is the capital of France?")

    assert answer.text.strip()
    assert chat_model is SMALLEST or "Paris" in answer.text


async def test_answer_is_held_to_a_schema(model: LlamaCppModel) -> None:
    bound = chat(model).with_structured_output(SCHEMA, method="json_schema")

    answer = await bound.ainvoke("The capital of France, as JSON.", max_tokens=200)

    assert isinstance(answer, dict)
    assert set(answer) == {"city", "country"}


async def test_call_that_the_model_writes_into_its_text_is_a_call(qwen: LlamaCppModel) -> None:
    declared = calculate_tool().as_function()
    texts: list[str] = []
    answer: Any = None

    stream = chat(qwen).bind_tools([declared]).astream("What is 23 * 19? Use the tool.")
    async with aclosing(stream) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            texts.append(str(chunk.text))
            answer = chunk if answer is None else answer + chunk

    assert [call["name"] for call in answer.tool_calls] == ["calculate"]
    assert "{" not in "".join(texts)


async def test_estimate_is_close_to_what_is_measured(model: LlamaCppModel) -> None:
    """A part of the estimate is for prompts that are not there yet."""
    estimated = model._need.memory["ram"]

    assert 0.8 < estimated / model.memory["ram"] < 2.5


async def test_second_turn_reads_only_what_is_new(qwen: LlamaCppModel) -> None:
    talk = [SystemMessage("You know geography. " * 20), HumanMessage("The capital of Spain?")]
    first = await chat(qwen).ainvoke(talk)

    second = await chat(qwen).ainvoke([*talk, first, HumanMessage("And of Italy?")])

    assert "Rome" in second.text
    assert isinstance(second, AIMessage)
    assert second.usage_metadata
    cached = second.usage_metadata["input_token_details"]["cache_read"]
    assert second.usage_metadata["input_tokens"] - cached < 40


async def test_long_prompt_is_told_and_given_up_between_batches(qwen: LlamaCppModel) -> None:
    words = " ".join(f"item {number}," for number in range(400))

    stream = chat(qwen).astream(f"Repeat: {words}")
    async with aclosing(stream) as chunks:  # type: ignore[type-var]
        first = await anext(chunks)
        assert isinstance(first, PromptProgress)
        assert 0 < first.processed < first.total

    assert "Paris" in (await chat(qwen).ainvoke("What is the capital of France?")).text


async def test_base_model_is_refused_for_chat_unless_it_gets_a_template(
    find_model: FindModel, driver: Driver, tmp_path: Path
) -> None:
    source = find_model(GEMMA_BASE)
    spec = declare(source)
    assert "no chat template" in (await driver.available(spec) or "")
    with pytest.raises(Unavailable) as caught:
        await driver.load(spec, driver.estimate(spec)[0], lambda news: None)
    assert caught.value.code == "chat_template_missing"

    (tmp_path / "chat.jinja").write_text(CHAT_TEMPLATE)
    given = declare(source, chat_template=str(tmp_path / "chat.jinja"), temperature=0)
    async with loaded(driver, given) as found:
        bound = cast(LlamaCppChat, found.capability).with_structured_output(
            SCHEMA, method="json_schema"
        )
        assert set(await bound.ainvoke("The capital of France, as JSON.")) == {"city", "country"}


async def test_like_sentences_have_like_vectors(find_model: FindModel, driver: Driver) -> None:
    spec = declare(find_model(SMALLEST), task="embed", slots=2, context=512)
    texts = ["The cat sleeps on the sofa.", "A kitten naps on a couch.", "Interest rates rose."]

    async with loaded(driver, spec) as found:
        embedder = cast(Embed, found.capability)
        vectors = await embedder.embed(texts)
        alone = await embedder.embed(texts[1:2])

    cat, kitten, rates = (numbers(vectors, row) for row in range(3))
    assert dot(cat, kitten) > dot(cat, rates)
    assert dot(kitten, numbers(alone, 0)) == pytest.approx(1, abs=1e-3)


async def test_file_that_another_back_end_is_handed_is_named(
    find_model: FindModel, tmp_path: Path
) -> None:
    fields = {"name": "mine", "task": "chat", "backend": "transformers"}
    spec = ModelSpec.model_validate({**fields, "source": str(find_model(SMALLEST))})

    async with opened("transformers", tmp_path) as transformers:
        problem = await transformers.available(spec)

    assert "for the back end `llamacpp`" in (problem or "")
