"""`kill -9` of a worker, in the middle of what it does, costs time and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.handbook import filler
from tests.support.service import add_documents, open_client, search

INDEX, EMBEDDER = "indexes", "minilm"
PAGES = 60
QUERIES = [f"wind and barometer of log book {number}" for number in range(0, PAGES, 6)]
TELLING = {"worker_died", "worker_stopped", "index_worker_crash_loop"}


@pytest.fixture(scope="module")
async def logged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server of its own, since its workers die, with an index of some pages."""
    folders = json.dumps([str(tmp_path_factory.getbasetemp())])
    server = ForkedServer(tmp_path_factory.mktemp("crash"), log_level="error", folders=folders)
    await server.start()
    async with open_client(server.url) as client:
        await client.post("/indexes", json={"name": "log"})
        await add_documents(
            client, "log", json={"folder": str(pages(server.home / "pages", PAGES))}
        )
    yield server
    await server.stop()


@pytest.fixture
async def reader(logged: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(logged.url) as client:
        yield client


async def test_searches_survive_the_index_worker(
    logged: ServerProcess, reader: httpx.AsyncClient
) -> None:
    before = {query: await hits(reader, query) for query in QUERIES}
    killed = worker(logged, INDEX)
    answers = await searches_while(reader, killed)
    for query, answer in answers:
        if answer.status_code == 200:
            assert places(answer.json()["passages"]) == before[query]
        else:
            assert_told(answer)
    assert any(answer.status_code == 200 for _, answer in answers)
    assert {query: await hits(reader, query) for query in QUERIES} == before
    assert worker(logged, INDEX).pid != killed.pid


async def test_searches_survive_the_embedder(
    logged: ServerProcess, reader: httpx.AsyncClient
) -> None:
    before = {query: await hits(reader, query) for query in QUERIES}
    for query, answer in await searches_while(reader, worker(logged, EMBEDDER)):
        if answer.status_code == 200:
            assert places(answer.json()["passages"]) == before[query]
        else:
            assert_told(answer)
    assert {query: await hits(reader, query) for query in QUERIES} == before


@pytest.mark.parametrize("name", [INDEX, EMBEDDER])
async def test_an_ingest_survives_a_worker(
    name: str, logged: ServerProcess, reader: httpx.AsyncClient
) -> None:
    index = f"ingest-{name}"
    folder = pages(logged.home / index, PAGES, first=1000 if name == INDEX else 2000)
    await reader.post("/indexes", json={"name": index})
    kind, told = await ingest_while(reader, index, folder, lambda: worker(logged, name).kill())
    assert (await reader.get("/health")).status_code == 200
    if kind == "failed":
        assert told["code"] in TELLING, told
    # Whatever became of that ingest, the same wish makes it whole, and nothing stands twice.
    report = await add_documents(reader, index, json={"folder": str(folder)})
    assert report["failed"] == []
    if kind == "finished":
        assert (told["added"], report["unchanged"]) == (PAGES, PAGES)
    shown = (await reader.get(f"/indexes/{index}")).json()
    assert shown["documents"] == PAGES
    listed = await documents(reader, index)
    assert sorted(listed) == sorted(file.name for file in folder.iterdir())
    number = 1007 if name == INDEX else 2007
    found = await search(reader, index, f"entry {number}.3", mode="keyword", limit=1)
    assert found[0]["source"] == f"{number}.md"
    assert len({passage["id"] for passage in await search(reader, index, "wind", limit=100)}) == 100


async def test_an_ingest_cut_off_by_a_killed_server_keeps_what_was_acknowledged(
    logged: ServerProcess,
) -> None:
    folder = pages(logged.home / "cut", PAGES, first=3000)
    async with open_client(logged.url) as client:
        before = await hits(client, QUERIES[0])
        await client.post("/indexes", json={"name": "cut"})
        first = {"text": "# Acknowledged\n\nThis sentence is safe.", "source": "first.md"}
        await add_documents(client, "cut", json=first)
        kind, _ = await ingest_while(client, "cut", folder, logged.process.kill)
    assert kind == ""
    await logged.kill()
    await logged.start()
    async with open_client(logged.url) as client:
        assert await hits(client, QUERIES[0]) == before
        found = await search(client, "cut", "which sentence is safe?", limit=1)
        assert found[0]["source"] == "first.md"
        kept = await documents(client, "cut")
        report = await add_documents(client, "cut", json={"folder": str(folder)})
        assert (report["failed"], report["changed"]) == ([], 0)
        # The ingest went on by itself meanwhile: this one came after it.
        assert report["unchanged"] >= len(kept) - 1
        assert report["unchanged"] + report["added"] == PAGES
        assert len(await documents(client, "cut")) == PAGES + 1


def worker(server: ServerProcess, name: str) -> psutil.Process:
    """The server's child that was started under this name."""
    found = [child for child in server.process.children() if child.cmdline()[-1:] == [name]]
    assert len(found) == 1, (name, [child.cmdline() for child in server.process.children()])
    return found[0]


async def searches_while(
    client: httpx.AsyncClient, killed: psutil.Process
) -> list[tuple[str, httpx.Response]]:
    """Searches that never pause, and their worker killed among them."""
    answers: list[tuple[str, httpx.Response]] = []
    under_way = asyncio.Event()

    async def ask(offset: int) -> None:
        for number in range(20):
            query = QUERIES[(offset + number) % len(QUERIES)]
            response = await client.post("/indexes/log/search", json={"query": query})
            answers.append((query, response))
            if len(answers) == 40:
                under_way.set()

    async def kill() -> None:
        await under_way.wait()
        killed.kill()

    await asyncio.gather(kill(), *(ask(offset) for offset in range(8)))
    assert not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE
    return answers


async def ingest_while(
    client: httpx.AsyncClient, index: str, folder: Path, kill: Any
) -> tuple[str, dict[str, Any]]:
    """Index a folder, kill at the first progress; the last event, none where the server died."""
    last: tuple[str, dict[str, Any]] = ("", {})
    kind, killed = "", False
    try:
        async with client.stream(
            "POST",
            f"/indexes/{index}/documents",
            json={"folder": str(folder)},
            headers={"Accept": "text/event-stream"},
        ) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    data = orjson.loads(line[6:])
                    if kind != "progress":
                        last = (kind, data)
                    elif data["passages_done"] and not killed:
                        assert data["passages_done"] < data["passages_total"]
                        kill()
                        killed = True
    except httpx.TransportError:
        pass
    assert killed
    return last


def pages(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir()
    for number in range(first, first + count):
        (folder / f"{number}.md").write_text(filler(number))
    return folder


def places(passages: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(each["source"], each["start"], each["end"]) for each in passages]


async def hits(client: httpx.AsyncClient, query: str) -> list[tuple[str, int, int]]:
    return places(await search(client, "log", query))


async def documents(client: httpx.AsyncClient, index: str) -> list[str]:
    response = await client.get(f"/indexes/{index}/documents", params={"limit": 1000})
    return [each["source"] for each in response.json()["documents"]]


def assert_told(response: httpx.Response) -> None:
    """A refusal that says what happened, and that it may be tried again."""
    assert response.status_code == 503, response.text
    assert response.json()["error"]["code"] in TELLING
