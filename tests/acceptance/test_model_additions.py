"""Models added and removed by the command and over HTTP, from doubles of the Hub and a registry."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.command import Motet
from tests.support.forked import ForkedServer
from tests.support.hub import Hub
from tests.support.registry import Registry
from tests.support.script import Gate
from tests.support.service import error_of, open_client
from tests.support.tiny.gguf_files import write_model

BOUND_S = 120.0
FILE = "tiny-Q4_K_M.gguf"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_model(tmp_path_factory.mktemp("weights") / "tiny.gguf", context=16384).read_bytes()


@pytest.fixture(scope="module")
def hub(weights: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(repository="maker/tiny-GGUF", files={FILE: weights})
    hub.start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_ENDPOINT", hub.url)
        environment.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        environment.setenv("HF_HUB_OFFLINE", "0")
        environment.setenv("NO_PROXY", "127.0.0.1")
        yield hub
    hub.stop()


@pytest.fixture(scope="module")
def registry(weights: bytes) -> Iterator[Registry]:
    registry = Registry()
    registry.offer("library/tiny:1b", model=weights)
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, hub: Hub
) -> AsyncIterator[ServerProcess]:
    server = ForkedServer(tmp_path_factory.mktemp("additions"))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(server.url) as client:
        yield client


@pytest.fixture
async def motet(server: ServerProcess) -> AsyncIterator[Motet]:
    motet = Motet(server.home)
    yield motet
    for name in ("tiny", "tiny-1b", "eyes", "absent"):
        await motet("models", "remove", name)


async def chat_model(client: httpx.AsyncClient) -> str:
    roles = (await client.get("/models")).json()["roles"]
    return str(next(each for each in roles if each["role"] == "chat")["choice"]["model"])


async def test_added_file_is_what_the_role_loads(
    motet: Motet, client: httpx.AsyncClient, tmp_path: Path, weights: bytes
) -> None:
    (tmp_path / "Tiny.gguf").write_bytes(weights)

    said = await motet("models", "add", tmp_path / "Tiny.gguf")

    assert (said.status, "motet run chat" in said.out) == (0, True), said
    assert await chat_model(client) == "tiny"
    loaded = await motet("models", "load", "chat")
    assert (loaded.status, "tiny is ready" in loaded.out) == (0, True), loaded


async def test_model_is_added_without_a_service(tmp_path: Path, hub: Hub) -> None:
    motet = Motet(tmp_path / "home")

    said = await motet("models", "add", "maker/tiny-GGUF", "--name", "mine")

    assert (said.status, "mine is here" in said.out) == (0, True), said
    assert "mine:" in (tmp_path / "home" / "models.yaml").read_text()


async def test_model_of_the_hub_comes_by_one_command_and_goes_by_another(
    motet: Motet, client: httpx.AsyncClient, server: ServerProcess
) -> None:
    file = server.home / "models.yaml"
    file.write_text("# mine\nversion: 1\n")

    said = await motet("models", "add", "hf.co/maker/tiny-GGUF:Q4_K_M")

    assert (said.status, "The role `chat` takes it" in said.out) == (0, True), said
    assert await chat_model(client) == "tiny"
    removed = await motet("models", "remove", "tiny")
    assert (removed.status, "its files freed" in removed.out) == (0, True), removed
    assert await chat_model(client) == "reader"
    assert file.read_text().startswith("# mine\nversion: 1\n")


async def test_tag_of_a_registry_is_added_by_its_owner_alone(
    motet: Motet, client: httpx.AsyncClient, registry: Registry
) -> None:
    address = f"{registry.url}/library/tiny:1b"
    error_of(await client.post("/models", json={"model": address}), 422, "not_pullable")

    said = await motet("models", "add", address)

    assert (said.status, "tiny-1b is here" in said.out) == (0, True), said
    assert await chat_model(client) == "tiny-1b"


async def test_interrupted_command_stops_the_pull_which_the_same_command_goes_on_with(
    motet: Motet, client: httpx.AsyncClient, hub: Hub
) -> None:
    gate = hub.gates[FILE] = Gate()
    process = await motet.begin("models", "add", "maker/tiny-GGUF")
    await gate.reached.wait(BOUND_S)
    process.send_signal(signal.SIGINT)
    out, error = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert b"goes on where it was" in out
    assert b"Traceback" not in error

    said = await motet("models", "add", "maker/tiny-GGUF")

    assert said.status == 0, said


async def test_without_a_network_the_command_says_which_file_to_bring(
    motet: Motet, hub: Hub
) -> None:
    hub.stop()
    try:
        said = await motet("models", "add", "qwen2.5-0.5b", "--name", "absent")
    finally:
        hub.start()

    assert said.status == 1
    assert "cannot be reached" in said.out
    assert "resolve/main/qwen2.5-0.5b-instruct-q4_k_m.gguf" in said.out


async def test_everything_that_roles_name_is_pulled_at_once(
    motet: Motet, client: httpx.AsyncClient, server: ServerProcess
) -> None:
    (server.home / "models.yaml").write_text(
        "models: {tiny: {task: chat, backend: llamacpp, source: hf.co/maker/tiny-GGUF}}\n"
    )
    async with asyncio.timeout(BOUND_S):
        while not (missing := (await client.get("/models/missing")).json()["missing"]):
            continue  # the file is followed
    assert [each["name"] for each in missing] == ["tiny"]
    assert missing[0]["download_bytes"] > 0

    listed = await motet("models", "pull", "--all", "--json")
    assert orjson.loads(listed.out) == missing
    said = await motet("models", "pull", "--all", "--yes")

    assert (said.status, "in all" in said.out) == (0, True), said
    assert (await client.get("/models/missing")).json()["missing"] == []
    again = await motet("models", "pull", "--all")
    assert "Everything that the roles name is here." in again.out


async def test_command_without_a_name_lists_what_can_be_had(motet: Motet) -> None:
    said = await motet("models", "add")

    assert said.status == 0
    assert "qwen2.5-0.5b" in said.out
    assert "suits this machine" in said.out


async def test_model_is_added_over_http_with_its_pull(
    motet: Motet, client: httpx.AsyncClient
) -> None:
    added = await client.post("/models", json={"model": "hf.co/maker/tiny-GGUF"})

    assert added.status_code == 202
    assert added.json()["model"]["name"] == "tiny"
    pull = added.headers["location"]
    headers = {"Accept": "text/event-stream"}
    async with client.stream("GET", pull, headers=headers) as response:
        lines = [line async for line in response.aiter_lines()]
    assert "event: finished" in lines
    assert (await client.get(pull)).json()["state"] == "done"
    assert (await client.delete("/models/tiny")).json()["freed_bytes"] > 0
