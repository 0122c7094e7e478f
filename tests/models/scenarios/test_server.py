"""The same over HTTP, with a real server process: who leaves frees its place, no stream is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.forked import ForkedServer
from tests.support.ollama import Ollama
from tests.support.script import Gate, says
from tests.support.service import read_events, types_of

AGENT = """
version: 1
name: tell
description: Says what Ollama says.
input: {model: string}
nodes:
  tell: {type: text, model: "{{ model }}", prompt: "Hello?", save: answer}
output: [answer]
"""
FILE = """
models:
  poet: {task: chat, backend: ollama, source: tiny, concurrency: 1}
"""
BODY = {"input": {"model": "poet"}}
BOUND_S = 120.0


@pytest.fixture(scope="module")
async def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[httpx.AsyncClient, Ollama]]:
    ollama = Ollama()
    ollama.start()
    home = tmp_path_factory.mktemp("home")
    (home / "agents").mkdir()
    (home / "agents" / "tell.yaml").write_text(AGENT)
    (home / "models.yaml").write_text(FILE)
    server = ForkedServer(home, ollama_url=ollama.url, drain_s="1")
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=BOUND_S) as client:
        yield client, ollama
    assert await server.stop() == 0
    assert ollama.loaded == []
    ollama.stop()


async def poet(client: httpx.AsyncClient) -> dict[str, Any]:
    shown: dict[str, Any] = (await client.get("/models/poet")).json()
    return shown


async def test_a_client_that_leaves_its_stream_frees_the_place(
    served: tuple[httpx.AsyncClient, Ollama], gate: Gate
) -> None:
    client, ollama = served
    ollama.add("tiny", says(["one", gate, " two"], "mine"))
    async with client.stream("POST", "/agents/tell/run", json=BODY):
        await gate.reached.wait()
        second = asyncio.create_task(
            client.post("/agents/tell/run", json={**BODY, "stream": False})
        )
        assert (await poet(client))["leases"] == 1
    await gate.abandoned.wait()
    answer = await second
    assert answer.json()["output"] == {"answer": "mine"}, answer.text
    assert (await poet(client))["leases"] == 0


async def test_unloading_lets_a_stream_end(
    served: tuple[httpx.AsyncClient, Ollama], gate: Gate
) -> None:
    client, ollama = served
    ollama.add("tiny", lambda turn: ["one", gate, " two"])
    async with client.stream("POST", "/agents/tell/run", json=BODY) as stream:
        await gate.reached.wait()
        unloading = asyncio.create_task(client.post("/models/poet/unload"))
        async with asyncio.timeout(BOUND_S):
            while (await poet(client))["state"] != "draining":
                pass  # asked again, as each answer takes its time
        assert not unloading.done()
        gate.open()
        events = await read_events(stream)
    assert types_of(events)[-1] == "run.finished"
    assert events[-1][1]["data"]["output"] == {"answer": "one two"}
    assert (await unloading).json()["state"] == "absent"
    assert ollama.loaded == []
