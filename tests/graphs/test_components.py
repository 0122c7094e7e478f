"""Shipped agents on the real parts: txtai indexes, MiniLM, and chat over Ollama's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from config.errors import NotFound, Unavailable
from config.settings import load_settings
from graphs.catalog import Catalog
from graphs.run_context import RunContext
from indexes.quality.calibration import Threshold
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from models.manager import Models, open_models
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.ollama import Ollama
from tests.support.script import Call, Failure, Turn
from tests.support.tenants import TENANT
from tools.registry import ToolDeps, load_toolbox

pytestmark = pytest.mark.timeout(120)

NOWHERE = "http://127.0.0.1:9"
GUIDE = b"""# Guide

## Starting

The service is started with `make serve`. It listens on port 8000.

## Stopping

Press Ctrl-C to stop it. Runs that are under way continue at the next start.
"""


@dataclass(frozen=True)
class World:
    """One set of real parts for all tests here."""

    ollama: Ollama
    models: Models
    indexes: Indexes
    catalog: Catalog
    context: RunContext


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    home: Path = tmp_path_factory.mktemp("home")
    ollama = Ollama()
    ollama.start()
    ollama.add("llama3", lambda turn: "Hello.")
    settings = load_settings(home=home, ollama_url=ollama.url)
    try:
        async with (
            open_models(settings) as models,
            open_indexes(settings, models, tenant=TENANT) as indexes,
        ):
            docs = await indexes.get("docs", tenant=TENANT)
            await docs.add_document(source="guide.md", data=GUIDE)

            async def search(names: list[str], query: str, **how: Any) -> Any:
                found = await indexes.search(names, query, **how)
                return {"passages": [passage.as_dict() for passage in found]}

            tools = load_toolbox(ToolDeps(search))
            context = RunContext(models=models, indexes=indexes, tools=tools, tenant=TENANT)
            yield World(ollama, models, indexes, Catalog(settings), context)
    finally:
        ollama.stop()


def says(world: World, answer: Any) -> None:
    world.ollama.add("llama3", answer)


async def test_ask_answers_over_ollama_with_citations_that_resolve(world: World) -> None:
    docs = await world.indexes.get("docs", tenant=TENANT)
    says(world, lambda turn: "Run make serve [1]. Wrong [9].")
    transcript = await run(
        world.catalog.get("ask"), {"question": "How is the service started?"}, world.context
    )
    assert transcript.output["answer"] == "Run make serve [1]. Wrong."
    assert "llama3" in transcript.output["model"]
    assert len([token for token in transcript.tokens if token]) > 1
    (citation,) = transcript.output["citations"]
    document = await docs.get_document(citation["document"])
    assert document.text[citation["start"] : citation["end"]] == citation["text"]
    assert "make serve" in citation["text"]
    chosen = [event for event in transcript.kinds("model") if event["phase"] == "chosen"]
    assert chosen[-1]["role"] == "chat"


async def test_an_answer_over_ollama_is_checked_against_its_sources(world: World) -> None:
    docs = await world.indexes.get("docs", tenant=TENANT)
    said = (
        "The service is started with `make serve` [1]. You can reach it at port 8000 [1]. "
        "It listens on port 9999 [1]. It was written by Smith [1][8]. Most people are fond of it."
    )
    says(world, lambda turn: said)
    question = {"question": "How is the service started?"}
    transcript = await run(world.catalog.get("ask"), question, world.context)
    verdicts = [check["verdict"] for check in transcript.output["checks"]]
    assert verdicts == ["quoted", "supported", "unsupported", "unsupported", "uncited"]
    assert [check["missing"] for check in transcript.output["checks"]][2:4] == [["9999"], ["Smith"]]
    (event,) = transcript.kinds("citation")
    assert event["invented"] == [8]
    assert len(event["unsupported"]) == 3
    exact = [c for c in transcript.output["citations"] if c["supported"]]
    assert [c["text"] for c in exact] == [
        "The service is started with `make serve`.", "It listens on port 8000."
    ]  # fmt: skip
    for citation in transcript.output["citations"]:
        document = await docs.get_document(citation["document"])
        assert document.text[citation["start"] : citation["end"]] == citation["text"]


async def test_a_follow_up_is_rewritten_over_ollama(world: World) -> None:
    def answer(turn: Turn) -> str:
        said = str(turn.messages[-1]["content"])
        if "Last question: And stopped?" in said:
            return "How is the service stopped?"
        return "Press Ctrl-C to stop it [1]." if "stopped?" in said else "With make serve [1]."

    says(world, answer)
    agent = world.catalog.get("ask")
    graph = agent.compile(InMemorySaver())
    for question in ("How is the service started?", "And stopped?"):
        transcript = await run(agent, {"question": question}, world.context, graph=graph)
    assert transcript.output["query"] == "How is the service stopped?"
    assert transcript.output["answer"] == "Press Ctrl-C to stop it [1]."


async def test_ask_deep_answers_from_several_indexes_with_conditions(
    world: World, alone: RunContext
) -> None:
    await world.indexes.create(IndexSpec(name="towns"), tenant=TENANT)
    for source, text, country in (
        ("harbour.md", "The harbour of the town was built by Ms Brandt in 1911.", "north"),
        ("bridge.md", "The bridge of the town was built by Mr Holm in 1950.", "south"),
    ):
        await (await world.indexes.get("towns", tenant=TENANT)).add_document(
            source=source, data=text.encode(), metadata={"country": country}
        )
    agent = world.catalog.get("ask_deep")
    asked: dict[str, Any] = {"question": "Who built the harbour?", "index": ["docs", "towns"]}
    transcript = await run(agent, asked, alone)
    assert "Ms Brandt" in transcript.output["answer"]
    assert {passage["index"] for passage in transcript.output["passages"]} == {"docs", "towns"}
    only = {"country": "south"}
    transcript = await run(agent, {**asked, "index": "towns", "where": only}, alone)
    assert {passage["source"] for passage in transcript.output["passages"]} == {"bridge.md"}


async def test_the_threshold_of_an_index_decides_what_the_reader_answers(
    world: World, alone: RunContext
) -> None:
    docs = await world.indexes.get("docs", tenant=TENANT)
    question = {"question": "How is the service started?"}
    try:
        for value, refused in ((0.99, True), (0.05, False)):
            await docs.set_threshold(Threshold(value))
            transcript = await run(world.catalog.get("ask"), question, alone)
            assert transcript.output["refused"] is refused
    finally:
        await docs.set_threshold(None)


async def test_a_schema_goes_to_the_model_by_its_own_means(world: World) -> None:
    asked: list[Turn] = []

    def answer(turn: Turn) -> str:
        asked.append(turn)
        return '{"queries": ["start"]}' if turn.format else "plain"

    says(world, answer)
    agent = agent_of_yaml(
        "nodes: {a: {type: text, prompt: x, schema: {type: object, properties: {queries: "
        "{type: array}}, required: [queries]}, save: found}}\noutput: [found]\n"
    )
    transcript = await run(agent, {}, world.context)
    assert transcript.output["found"] == {"queries": ["start"]}
    assert asked[0].format["required"] == ["queries"]


async def test_chat_calls_tools_over_ollama(world: World) -> None:
    turns: list[Turn] = []

    def answer(turn: Turn) -> Any:
        turns.append(turn)
        if len(turns) == 1:
            return Call("search", {"query": "stop the service", "limit": 2})
        return "Press Ctrl-C [1]."

    says(world, answer)
    transcript = await run(world.catalog.get("chat"), {"message": "How to stop?"}, world.context)
    assert transcript.output["answer"] == "Press Ctrl-C [1]."
    assert {"search", "calculate", "clock", "web"} == set(turns[0].tool_names)
    assert turns[1].messages[-1]["role"] == "tool"
    assert "[1] " in turns[1].messages[-1]["content"]
    assert transcript.output["citations"][0]["source"] == "guide.md"


async def test_failing_model_is_retried_then_reported(world: World) -> None:
    tries: list[int] = []

    def answer(turn: Turn) -> Any:
        tries.append(1)
        return Failure("the runner broke") if len(tries) < 3 else "Third time."

    agent = agent_of_yaml(
        "nodes: {a: {type: text, prompt: x, save: b, retry: {attempts: 3, backoff_s: 0}}}\n"
        "output: [b]\n"
    )
    says(world, answer)
    transcript = await run(agent, {}, world.context)
    assert transcript.output["b"] == "Third time."
    assert [event["number"] for event in transcript.kinds("attempt")] == [2, 3]
    says(world, lambda turn: Failure("broken for good"))
    with pytest.raises(Unavailable, match="broken for good") as caught:
        await run(agent, {}, world.context)
    assert caught.value.details["node"] == "a"


async def test_a_tenant_does_not_find_the_documents_of_another(world: World) -> None:
    says(world, lambda turn: "Nothing.")
    other = replace(world.context, tenant="other")
    with pytest.raises(NotFound) as caught:
        await run(world.catalog.get("ask"), {"question": "How to start?"}, other)
    assert caught.value.code == "index_not_found"
    assert caught.value.details["node"] == "search"


@pytest.fixture(scope="module")
async def alone(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunContext]:
    """The same documents on a machine without any language model."""
    home = tmp_path_factory.mktemp("alone")
    async with open_models(load_settings(home=home, ollama_url=NOWHERE)) as models:
        yield replace(world.context, models=models)


async def test_the_embedded_reader_answers_with_exact_spans(
    world: World, alone: RunContext
) -> None:
    docs = await world.indexes.get("docs", tenant=TENANT)
    question = {"question": "How is the service started?"}
    for name in ("ask", "ask_deep"):
        transcript = await run(world.catalog.get(name), question, alone)
        assert "make serve" in transcript.output["answer"]
        assert transcript.output["refused"] is False
        assert transcript.output["citations"]
        for citation in transcript.output["citations"]:
            document = await docs.get_document(citation["document"])
            assert document.text[citation["start"] : citation["end"]] == citation["text"]
            assert citation["text"] in transcript.output["answer"]


async def test_the_embedded_reader_says_when_the_documents_do_not(
    world: World, alone: RunContext
) -> None:
    question = {"question": "What is the capital of France?"}
    for name in ("ask", "ask_deep"):
        transcript = await run(world.catalog.get(name), question, alone)
        assert transcript.output["refused"] is True
        assert transcript.output["citations"] == []
        assert "do not say" in transcript.output["answer"]


async def test_chat_digest_and_review_are_of_use_without_a_language_model(
    world: World, alone: RunContext
) -> None:
    transcript = await run(
        world.catalog.get("chat"), {"message": "How is the service started?"}, alone
    )
    assert "make serve" in transcript.output["answer"]
    transcript = await run(world.catalog.get("digest"), {}, alone)
    assert transcript.output["method"] == "extract"
    assert "make serve" in transcript.output["digest"]
    transcript = await run(world.catalog.get("review"), {"task": "Write.", "draft": "Mine."}, alone)
    assert transcript.interrupts[0]["value"]["show"]["draft"] == "Mine."
    with pytest.raises(Unavailable, match="motet models add"):
        await run(world.catalog.get("review"), {"task": "Write."}, alone)
