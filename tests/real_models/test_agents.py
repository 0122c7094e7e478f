"""A real server with a real model behind its shipped agents."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from benchmarks.language.turns import DOCUMENTS
from tests.real_models.catalog import ModelFile
from tests.real_models.conftest import FindModel
from tests.real_models.serving import serve_model
from tests.support.service import add_documents, read_events, run_to_end


@pytest.fixture(scope="module")
async def client(
    model: ModelFile, find_model: FindModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    folders = json.dumps([str(DOCUMENTS)])
    home = tmp_path_factory.mktemp("real")
    async with serve_model(home, find_model(model), folders=folders) as client:
        yield client


@pytest.fixture(scope="module")
async def papers(client: httpx.AsyncClient) -> str:
    """The benchmark's documents as an index."""
    await client.post("/indexes", json={"name": "papers"})
    await add_documents(client, "papers", json={"folder": str(DOCUMENTS)})
    return "papers"


async def test_chat_remembers_the_turn_before(client: httpx.AsyncClient, model: ModelFile) -> None:
    thread = (await client.post("/threads", json={})).json()["thread_id"]

    runs = [
        await run_to_end(client, "chat", {"message": message}, thread_id=thread)
        for message in ("The capital of France is Paris. What is it?", "Say its name again.")
    ]

    assert [run["status"] for run in runs] == ["finished", "finished"]
    assert all(run["output"]["answer"].strip() for run in runs)
    assert {run["output"]["model"] for run in runs} == {"real"}


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("How wide is the gauge of the Tarn Valley Railway?", "762"),
        ("On which VHF channel can I call the lifeboats?", "16"),
    ],
)
async def test_answer_of_ask_has_a_citation_that_supports_it(
    client: httpx.AsyncClient, papers: str, question: str, words: str
) -> None:
    """Small models mix up numbers of one sentence, and on each processor others: it is shown."""
    output = (await run_to_end(client, "ask", {"question": question, "index": papers}))["output"]

    assert output["refused"] is False
    supported = [each["text"] for each in output["citations"] if each["supported"]]
    assert any(words in text for text in supported)


async def test_chat_needs_no_chat_template_with_a_place_for_tools(
    client: httpx.AsyncClient,
) -> None:
    """SmolLM2's has none: the tools are written into the prompt."""
    body = {"input": {"message": "Say hello."}}

    async with client.stream("POST", "/agents/chat/run", json=body) as response:
        events = [event for _, event in await read_events(response)]

    assert events[-1]["type"] == "run.finished"
    warnings = [each["data"]["code"] for each in events if each["type"] == "warning"]
    assert "needs_language_model" not in warnings
