"""Indexes over HTTP: filled from uploads, folders, texts and pages, searched, cited, emptied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.handbook import PAGES, filler, write_handbook
from tests.support.service import add_documents, cite, error_of, search

QUESTIONS = {
    "When does the harbour office open?": ("harbour.md", "opens at six in the morning"),
    "What does a berth cost?": ("harbour.md", "fourteen crowns"),
    "Who built the lighthouse?": ("lighthouse.html", "Brandt"),
    "How often does the ferry leave?": ("ferry.txt", "every forty minutes"),
}


@pytest.fixture(scope="module")
async def handbook(client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is indexed as `handbook`."""
    folder = write_handbook(tmp_path_factory.mktemp("handbook") / "pages")
    made = await client.post("/indexes", json={"name": "handbook", "description": "An island."})
    assert made.status_code == 201
    report = await add_documents(client, "handbook", json={"folder": str(folder)})
    assert (report["added"], report["failed"]) == (3, [])
    return folder


async def test_a_folder_is_indexed_once(client: httpx.AsyncClient, handbook: Path) -> None:
    again = await add_documents(client, "handbook", json={"folder": str(handbook)})
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 3)
    shown = (await client.get("/indexes/handbook")).json()
    assert (shown["documents"], shown["description"]) == (3, "An island.")
    listed = (await client.get("/indexes/handbook/documents")).json()["documents"]
    assert [each["source"] for each in listed] == sorted(PAGES)
    assert all(each["text"] == "" for each in listed)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_search_finds_the_passage_and_its_place_in_the_source(
    question: str, client: httpx.AsyncClient, handbook: Path
) -> None:
    source, words = QUESTIONS[question]
    best = (await search(client, "handbook", question))[0]
    assert best["source"] == source
    assert words in " ".join(best["text"].split())
    document = (await client.get(f"/indexes/handbook/documents/{best['document']}")).json()
    assert document["text"][best["start"] : best["end"]] == best["text"]
    if not source.endswith(".html"):
        assert document["text"] == PAGES[source]
    cited = await cite(client, "handbook", best)
    assert (cited["text"], cited["changed"]) == (best["text"], False)
    around = cited["before"] + cited["text"] + cited["after"]
    assert around in document["text"]


async def test_a_citation_says_when_its_source_has_changed(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "changing"})
    text = {"text": "The bridge is red.", "source": "bridge.md"}
    await add_documents(client, "changing", json=text)
    before = (await search(client, "changing", "bridge"))[0]
    report = await add_documents(
        client, "changing", json={**text, "text": "The bridge is blue, not red."}
    )
    assert (report["added"], report["changed"]) == (0, 1)
    assert (await cite(client, "changing", before))["changed"] is True
    [after] = await search(client, "changing", "bridge")
    assert after["text"] == "The bridge is blue, not red."
    assert (await cite(client, "changing", after))["changed"] is False


async def test_uploads_are_indexed_by_their_names(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "uploads"})
    files = [("files", (name, text.encode())) for name, text in PAGES.items()]
    files.append(("files", ("broken.md", b"# \xff\xfe")))
    report = await add_documents(client, "uploads", files=files)
    assert report["added"] == 3
    assert [(each["source"], each["code"]) for each in report["failed"]] == [
        ("broken.md", "unreadable_document")
    ]
    assert (await search(client, "uploads", "dogs on the ferry"))[0]["source"] == "ferry.txt"


async def test_a_page_is_fetched_and_cited_by_its_address(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "pages"})
    async with site(PAGES["lighthouse.html"]) as url:
        report = await add_documents(client, "pages", json={"url": url, "title": "A tower"})
    best = (await search(client, "pages", "steps to the lantern room"))[0]
    assert (best["source"], best["title"]) == (url, "A tower")
    assert report["documents"] == [best["document"]]


async def test_an_ingest_tells_its_progress(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await client.post("/indexes", json={"name": "told"})
    for number in range(12):
        (tmp_path / f"{number}.md").write_text(filler(number))
    told: list[tuple[str, dict[str, Any]]] = []
    async with client.stream(
        "POST",
        "/indexes/told/documents",
        json={"folder": str(tmp_path)},
        headers={"Accept": "text/event-stream"},
    ) as stream:
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                told.append((kind, httpx.Response(200, content=line[6:]).json()))
    assert {kind for kind, _ in told[:-1]} == {"progress"}
    done = [data["passages_done"] for _, data in told[:-1]]
    assert done == sorted(done)
    kind, report = told[-1]
    assert (kind, report["added"]) == ("finished", 12)
    assert report["passages"] == done[-1]


async def test_a_search_may_keep_to_some_documents(
    client: httpx.AsyncClient, handbook: Path
) -> None:
    listed = (await client.get("/indexes/handbook/documents")).json()["documents"]
    ferry = next(each["id"] for each in listed if each["source"] == "ferry.txt")
    question = "When does the harbour office open?"
    for mode in ("hybrid", "dense", "keyword"):
        found = await search(client, "handbook", question, documents=[ferry], mode=mode)
        assert {passage["source"] for passage in found} <= {"ferry.txt"}
    assert found == [] or mode != "dense"


async def test_what_is_deleted_is_gone_from_searches_and_from_disk(
    server: ServerProcess, client: httpx.AsyncClient
) -> None:
    await client.post("/indexes", json={"name": "secrets"})
    word = "xylophonically"
    secret = {"text": f"The safe opens {word}.", "source": "safe.md"}
    report = await add_documents(client, "secrets", json=secret)
    await add_documents(
        client, "secrets", json={"text": "The garden is open.", "source": "garden.md"}
    )
    [document] = report["documents"]
    path = f"/indexes/secrets/documents/{document}"
    assert (await client.delete(path)).status_code == 204
    error_of(await client.get(path), 404, "document_not_found")
    found = await search(client, "secrets", f"what opens {word}?")
    assert [passage["source"] for passage in found] == ["garden.md"]
    assert (await client.delete("/indexes/secrets")).status_code == 204
    error_of(await client.get("/indexes/secrets"), 404, "index_not_found")
    async with asyncio.timeout(240):
        while holders := holding(server.home, word.encode()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert not holders


def holding(home: Path, word: bytes) -> list[Path]:
    """The files of the indexes that hold a word."""
    found = []
    for file in home.rglob("*"):
        try:
            if file.is_file() and file.name != "runs.db" and word in file.read_bytes():
                found.append(file)
        except FileNotFoundError:  # replaced meanwhile
            found.append(file)
    return found


@asynccontextmanager
async def site(page: str) -> AsyncIterator[str]:
    """An HTTP server on loopback with one page; its address."""

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = page.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/tower"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "embd"}, "Did you mean 'embed'?"),
        ({"model": "reader"}, "is for chat, not for embedding"),
        ({"model": "olama/nomic"}, "no back end 'olama'"),
        ({"rerank": "chat"}, "no model for reranking"),
    ],
)
async def test_index_with_a_model_that_could_never_serve_it_is_refused(
    client: httpx.AsyncClient, fields: dict[str, str], words: str
) -> None:
    refused = await client.post("/indexes", json={"name": "unserved", **fields})

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (422, "invalid_index")
    assert error["details"]["field"] == next(iter(fields))
    assert words in error["message"]
    assert (await client.get("/indexes/unserved")).status_code == 404
