"""Pulling a model over HTTP and on the command line, from a double of Ollama."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.command import Motet
from tests.support.forked import ForkedServer
from tests.support.ollama import Ollama
from tests.support.script import Gate
from tests.support.service import error_of, open_client

BOUND_S = 120.0
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def ollama() -> Iterator[Ollama]:
    double = Ollama()
    double.start()
    yield double
    double.stop()


@pytest.fixture(scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, ollama: Ollama
) -> AsyncIterator[ServerProcess]:
    server = ForkedServer(tmp_path_factory.mktemp("pulls"), ollama_url=ollama.url)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(server.url) as client:
        yield client


async def states(client: httpx.AsyncClient, address: str) -> list[str]:
    """The states that the events of a pull tell, to its end."""
    async with client.stream("GET", address, headers=EVENTS) as response:
        lines = [line async for line in response.aiter_lines() if line.startswith("data: ")]
    return [orjson.loads(line[6:])["state"] for line in lines]


async def test_pulled_model_shows_its_progress_and_is_available(
    client: httpx.AsyncClient, ollama: Ollama
) -> None:
    ollama.offer("fresh", size_bytes=1000)
    begun = await client.post("/models/pull", json={"name": "fresh", "backend": "ollama"})
    assert begun.status_code == 202
    address = begun.headers["location"]
    assert (await asyncio.wait_for(states(client, address), BOUND_S))[-1] == "done"
    job = (await client.get(address)).json()
    assert (job["completed_bytes"], job["total_bytes"], job["error"]) == (1000, 1000, None)
    listed = (await client.get("/models/pulls")).json()["pulls"]
    assert job["name"] in [each["name"] for each in listed]
    async with asyncio.timeout(BOUND_S):
        while (await client.get("/models/ollama/fresh")).is_error:
            continue  # it is found within seconds


async def test_cancelled_pull_resumes_when_started_again(
    client: httpx.AsyncClient, ollama: Ollama
) -> None:
    gate = Gate()
    ollama.offer("slow", gate=gate, size_bytes=1000)
    address = (await client.post("/models/pull", json={"name": "ollama/slow"})).headers["location"]
    await gate.reached.wait(BOUND_S)
    assert (await client.get(address)).json()["state"] == "running"
    cancelled = (await client.delete(address)).json()
    assert cancelled["state"] == "cancelled"
    gate.open()
    async with client.stream(
        "POST", "/models/pull", json={"name": "ollama/slow"}, headers=EVENTS
    ) as response:
        told = [line async for line in response.aiter_lines()]
    assert "event: finished" in told
    assert (await client.get(address)).json()["state"] == "done"


async def test_a_pull_that_fails_says_why(client: httpx.AsyncClient) -> None:
    address = (await client.post("/models/pull", json={"name": "ollama/none"})).headers["location"]
    assert (await asyncio.wait_for(states(client, address), BOUND_S))[-1] == "failed"
    assert (await client.get(address)).json()["error"]["message"]
    error_of(await client.get("/models/pulls/ollama/never"), 404, "pull_not_found")


async def test_the_command_pulls_and_says_how_to_use_it(
    server: ServerProcess, ollama: Ollama
) -> None:
    ollama.offer("wanted", size_bytes=1000)
    motet = Motet(server.home)
    said = await motet("models", "pull", "ollama/wanted")
    assert (said.status, "is here" in said.out) == (0, True), said
    failed = await motet("models", "pull", "ollama/missing")
    assert (failed.status, "is not here: failed" in failed.out) == (1, True), failed
    assert "ollama/wanted" in (await motet("models", "pulls")).out


async def test_an_interrupted_command_stops_the_pull_and_says_how_to_go_on(
    server: ServerProcess, client: httpx.AsyncClient, ollama: Ollama
) -> None:
    gate = Gate()
    ollama.offer("large", gate=gate, size_bytes=1000)
    process = await Motet(server.home).begin("models", "pull", "ollama/large")
    await gate.reached.wait(BOUND_S)
    process.send_signal(signal.SIGINT)
    out, error = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert b"goes on where it was" in out
    assert b"Traceback" not in error
    assert (await client.get("/models/pulls/ollama/large")).json()["state"] == "cancelled"
    gate.open()
