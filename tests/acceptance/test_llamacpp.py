"""A language model in a GGUF file, declared in models.yaml, behind agents of a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import psutil
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import open_client, run_to_end
from tests.support.tiny.gguf_files import write_model

BOUND_S = 120.0
AGENT = """\
version: 1
name: {name}
description: Asks one model.
input: {{question: string}}
nodes:
  answer: {{type: text, model: {model}, prompt: "{{{{ question }}}}", save: answer{more}}}
output: [answer]
"""
WARM = ", schema: {type: object, properties: {warm: {type: boolean}}, required: [warm]}"
"""A short answer of a model that never ends one by itself."""


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    home = tmp_path_factory.mktemp("llamacpp")
    source = str(write_model(home / "tiny.gguf", context=100_000))
    common = {"task": "chat", "backend": "llamacpp", "source": source}
    options = {"threads": 1, "context": 60_000}
    declared = {
        "brief": {**common, "options": {**options, "max_tokens": 20}},
        "endless": {**common, "options": {**options, "max_tokens": 50_000}},
    }
    (home / "models.yaml").write_text(json.dumps({"version": 1, "models": declared}))
    (home / "agents").mkdir()
    for name, model, more in (("talk", "endless", ""), ("judge", "endless", WARM)):
        text = AGENT.format(name=name, model=model, more=more)
        (home / "agents" / f"{name}.yaml").write_text(text)
    server = ForkedServer(home, log_level="error", ollama_url="http://127.0.0.1:9")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(server.url) as client:
        yield client


def find_worker(server: ServerProcess, name: str) -> psutil.Process:
    """The server's child that was started under this name."""
    (worker,) = [child for child in server.process.children() if child.cmdline()[-1:] == [name]]
    return worker


async def chat(client: httpx.AsyncClient) -> dict[str, Any]:
    """The output of a run of the shipped agent."""
    run = await run_to_end(client, "chat", {"message": "Is it warm?"})
    assert run["status"] == "finished", run
    output: dict[str, Any] = run["output"]
    return output


async def test_declared_model_answers_in_the_shipped_chat_agent(
    client: httpx.AsyncClient,
) -> None:
    output = await chat(client)

    assert output["answer"].strip()
    assert output["model"] == "brief"


async def test_killed_worker_is_loaded_anew_by_the_next_run(
    server: ServerProcess, client: httpx.AsyncClient
) -> None:
    await chat(client)
    killed = find_worker(server, "brief")
    killed.kill()

    output = await chat(client)

    assert output["model"] == "brief"
    assert find_worker(server, "brief").pid != killed.pid


async def test_cancelled_run_frees_the_models_only_slot(client: httpx.AsyncClient) -> None:
    body = {"input": {"question": "Talk."}, "stream": True}
    async with (
        asyncio.timeout(BOUND_S),
        client.stream("POST", "/agents/talk/run", json=body) as stream,
    ):
        async for line in stream.aiter_lines():
            event = orjson.loads(line[6:]) if line.startswith("data: ") else {}
            if event.get("type") == "token":
                break
        cancelled = await client.post(f"/runs/{event['run_id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"

    async with asyncio.timeout(BOUND_S):
        run = await run_to_end(client, "judge", {"question": "Is it warm?"})

    assert run["output"]["answer"] in ({"warm": True}, {"warm": False})


async def test_unloaded_model_leaves_no_process(
    server: ServerProcess, client: httpx.AsyncClient
) -> None:
    await chat(client)
    worker = find_worker(server, "brief")

    await client.post("/models/brief/unload")

    assert not worker.is_running()
