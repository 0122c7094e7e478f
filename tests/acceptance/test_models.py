"""Models of a running service: shown, loaded, unloaded, pinned, followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import error_of, open_client, read_events

BOUND_S = 120.0


@pytest.fixture(autouse=True)
async def left_alone(client: httpx.AsyncClient) -> AsyncIterator[None]:
    yield
    await client.delete("/models/minilm/pin")


async def newest(client: httpx.AsyncClient) -> int:
    """The number of an event that has just happened."""
    async with client.stream("GET", "/models/events") as response:
        await client.put("/models/minilm/pin")
        events = await asyncio.wait_for(read_events(response, until=1), BOUND_S)
    return events[-1][0]


async def test_a_model_is_loaded_shown_and_unloaded(client: httpx.AsyncClient) -> None:
    loaded = (await client.post("/models/embed/load", json={"wait_s": 60})).json()
    assert (loaded["name"], loaded["state"], loaded["device"]) == ("minilm", "ready", "cpu")
    assert loaded["memory_bytes"] == loaded["memory"]["ram"] > 0
    assert (await client.get("/models/minilm")).json()["state"] == "ready"
    gone = (await client.post("/models/minilm/unload")).json()
    assert (gone["state"], gone["memory_bytes"]) == ("absent", None)
    error_of(await client.post("/models/minilm/unload"), 404, "model_not_loaded")
    error_of(await client.get("/models/ollama/no/such:model"), 404, "model_not_found")


async def test_pinned_model_can_be_unpinned(client: httpx.AsyncClient) -> None:
    assert (await client.put("/models/minilm/pin")).json()["pin"]
    assert (await client.get("/models/minilm")).json()["pin"]
    assert not (await client.delete("/models/minilm/pin")).json()["pin"]


async def test_a_reader_that_comes_back_gets_every_event_once(client: httpx.AsyncClient) -> None:
    after = await newest(client)
    await client.post("/models/minilm/load")
    await client.post("/models/minilm/unload")
    headers = {"Last-Event-ID": str(after)}
    seen: list[dict[str, Any]] = []
    for _ in range(2):  # the second goes on behind the first event of the first
        async with client.stream("GET", "/models/events", headers=headers) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            events = await asyncio.wait_for(read_events(response, until=after + 1), BOUND_S)
        seen += [event for _, event in events]
        after, headers = events[-1][0], {"Last-Event-ID": str(events[-1][0])}
    assert [event["event"] for event in seen] == ["loading", "ready"]
    assert seen[1]["seq"] == seen[0]["seq"] + 1
    async with client.stream("GET", "/models/events", headers=headers) as response:
        events = await asyncio.wait_for(read_events(response, until=after + 2), BOUND_S)
    assert [event["event"] for _, event in events] == ["unloading", "unloaded"]
    assert events[0][1]["reason"] == "asked for"


async def test_the_machine_is_described_with_models_that_suit_it(
    client: httpx.AsyncClient,
) -> None:
    profile = (await client.get("/models/profile")).json()
    [ram, *_] = profile["devices"]
    assert ram["device"] == "ram"
    assert ram["total_bytes"] >= ram["free_bytes"] > 0
    found = {each["role"]: each for each in profile["recommended"]}
    assert found["chat"]["command"].startswith("motet models add ")
    assert found["embed"]["here"]
    offers = {each["name"]: each for each in profile["offers"]}
    assert offers["qwen2.5-0.5b"]["license"] == "Apache-2.0"
    assert {role["role"] for role in profile["roles"]} >= {"chat", "embed"}


async def test_an_edit_of_models_yaml_counts_and_a_broken_one_is_told(
    server: ServerProcess, client: httpx.AsyncClient
) -> None:
    file = server.home / "models.yaml"
    try:
        file.write_text("models:\n  cloud: {task: chat, backend: openai, source: a}\n")
        await until(client, lambda found: "cloud" in names(found))
        file.write_text("models:\n  cloud: {task: sing, backend: openai}\n")
        await until(client, lambda found: found["problems"])
        found = (await client.get("/models")).json()
        assert found["problems"][0]["details"]["line"] == 2
        assert "cloud" in names(found)
    finally:
        file.unlink()
    await until(client, lambda found: not found["problems"] and "cloud" not in names(found))


async def test_a_server_that_stops_ends_the_streams_of_events(tmp_path: Path) -> None:
    server = ForkedServer(tmp_path)
    await server.start()
    async with (
        open_client(server.url) as client,
        client.stream("GET", "/models/events") as response,
    ):
        stopping = asyncio.create_task(server.stop())
        # Cut off, it would raise.
        assert [line async for line in response.aiter_lines() if line.startswith("event")] == []
        await stopping


def names(found: dict[str, Any]) -> set[str]:
    return {model["name"] for model in found["models"]}


async def until(client: httpx.AsyncClient, holds: Any) -> None:
    """Wait for what `GET /models` shows, asking again when it has answered."""
    async with asyncio.timeout(BOUND_S):
        while not holds((await client.get("/models")).json()):
            continue
