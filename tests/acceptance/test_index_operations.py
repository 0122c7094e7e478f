"""Looking after indexes over HTTP: filters, several at once, snapshots, crawls, watched folders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.service import add_documents, cite, error_of, search
from tests.support.site import Site, serving

BOUND_S = 120
LETTERS = {
    "rain.md": ("It rains in Bergen on most days.", {"author": "Anna", "year": 2019}),
    "snow.md": ("It snows in Tromsø in winter.", {"author": "Anna", "year": 2023}),
    "sun.md": ("It is sunny in Kristiansand.", {"author": "Bo", "year": 2023, "tags": ["warm"]}),
}


@pytest.fixture(scope="module")
async def weather(client: httpx.AsyncClient) -> str:
    """An index of documents with fields."""
    await client.post("/indexes", json={"name": "weather"})
    for source, (text, metadata) in LETTERS.items():
        body = {"text": text, "source": source, "metadata": metadata}
        await add_documents(client, "weather", json=body)
    return "weather"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(Site()) as running:
        yield running


# Filters


@pytest.mark.parametrize(
    ("where", "sources"),
    [
        ({"author": "Anna"}, {"rain.md", "snow.md"}),
        ({"author": {"not": "Anna"}}, {"sun.md"}),
        ({"year": {"gte": 2020}, "author": "Anna"}, {"snow.md"}),
        ({"year": {"gt": 2018, "lt": 2020}}, {"rain.md"}),
        ({"year": {"in": [2019, 2020]}}, {"rain.md"}),
        ({"tags": "warm"}, {"sun.md"}),
        ({"tags": {"exists": False}}, {"rain.md", "snow.md"}),
        ({"source": {"glob": "s*.md"}}, {"snow.md", "sun.md"}),
        ({"author": "Nobody"}, set()),
    ],
)
async def test_a_filter_chooses_before_the_search_and_in_listings(
    where: dict[str, Any], sources: set[str], client: httpx.AsyncClient, weather: str
) -> None:
    found = await search(client, weather, "What is the weather like?", where=where)
    assert {passage["source"] for passage in found} == sources
    params = {"where": httpx.Request("POST", "http://x", json=where).content.decode()}
    listed = (await client.get(f"/indexes/{weather}/documents", params=params)).json()
    assert {document["source"] for document in listed["documents"]} == sources


async def test_a_filter_that_is_none_says_what_is_meant(
    client: httpx.AsyncClient, weather: str
) -> None:
    body = {"query": "x", "where": {"year": {"gtr": 1}}}
    error = error_of(
        await client.post(f"/indexes/{weather}/search", json=body), 422, "invalid_filter"
    )
    assert error["details"]["field"] == "where.year"
    assert "Did you mean 'gt" in error["message"]
    response = await client.get(f"/indexes/{weather}/documents", params={"where": "{"})
    error_of(response, 422, "invalid_filter")


async def test_uploads_carry_fields_to_search_by(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "fielded"})
    form = {"metadata": '{"team": "blue", "level": 3}'}
    files = [("files", (f"{n}.md", f"Page {n} of the plan.".encode())) for n in range(2)]
    await add_documents(client, "fielded", files=files, data=form)
    await add_documents(client, "fielded", files=[("files", ("2.md", b"Page 2 of the plan."))])
    found = await search(client, "fielded", "plan", where={"team": "blue", "level": {"gt": 2}})
    assert {passage["source"] for passage in found} == {"0.md", "1.md"}
    response = await client.post(
        "/indexes/fielded/documents", files=files, data={"metadata": "[1]"}
    )
    assert response.json()["error"]["details"]["field"] == "metadata"


# Searching more


async def test_several_indexes_are_searched_as_one(client: httpx.AsyncClient, weather: str) -> None:
    await client.post("/indexes", json={"name": "food"})
    for source in ("soup.md", "copy.md"):
        text = {"text": "In Bergen they eat fish soup when it rains.", "source": source}
        await add_documents(client, "food", json=text)
    body = {"indexes": ["weather", "food"], "query": "rain in Bergen", "limit": 2}
    found = (await client.post("/search", json=body)).json()["passages"]
    assert {(passage["index"], passage["source"]) for passage in found} >= {("weather", "rain.md")}
    assert {passage["index"] for passage in found} == {"weather", "food"}
    [soup] = [passage for passage in found if passage["index"] == "food"]
    assert len(soup["also"]) == 1
    for passage in found:
        assert (await cite(client, passage["index"], passage))["text"] == passage["text"]
    body["indexes"] = ["weather", "no-such-index"]
    error_of(await client.post("/search", json=body), 404, "index_not_found")


async def test_a_search_shows_why_and_where(client: httpx.AsyncClient, weather: str) -> None:
    [best] = await search(client, weather, "snows in winter", limit=1, explain=True, highlight=True)
    assert best["why"]["dense"] <= 1
    assert best["why"]["terms"]
    marked = [best["text"][start:end] for start, end in best["highlights"]]
    assert marked == ["snows", "in", "in", "winter"] or set(marked) == {"snows", "winter"}


async def test_a_passage_shows_what_stands_around_it(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "long", "chunk_words": 20})
    sentences = [f"Paragraph {n} tells of the number {n} and a few words more." for n in range(9)]
    text = "# Numbers\n\n" + "\n\n".join(sentences)
    await add_documents(client, "long", json={"text": text, "source": "long.md"})
    [plain] = await search(client, "long", "number 4", limit=1)
    [grown] = await search(client, "long", "number 4", limit=1, expand="neighbours")
    assert grown["match"] == [plain["start"], plain["end"]]
    assert plain["text"] in grown["text"] and len(grown["text"]) > len(plain["text"])  # noqa: PT018
    around = (await client.get(f"/indexes/long/passages/{plain['id']}")).json()
    assert around["passage"]["text"] == plain["text"]
    assert around["before"]["end"] <= plain["start"] < plain["end"] <= around["after"]["start"]
    assert around["section"]["text"].count("Paragraph") == 9
    error_of(await client.get("/indexes/long/passages/none.1"), 404, "passage_not_found")


async def test_documents_like_another_are_found(client: httpx.AsyncClient, weather: str) -> None:
    listed = (await client.get(f"/indexes/{weather}/documents")).json()["documents"]
    snow = next(document["id"] for document in listed if document["source"] == "snow.md")
    response = await client.get(f"/indexes/{weather}/documents/{snow}/similar?limit=2")
    found = response.json()["documents"]
    assert {each["document"]["source"] for each in found} == {"rain.md", "sun.md"}
    assert found[0]["score"] >= found[1]["score"]


# Sizes, snapshots, rebuilding


async def test_an_index_tells_its_sizes(client: httpx.AsyncClient, weather: str) -> None:
    found = (await client.get(f"/indexes/{weather}/stats")).json()
    assert (found["documents"], found["passages"]) == (3, 3)
    assert found["characters"] == sum(len(text) for text, _ in LETTERS.values())
    assert found["vector_bytes"] == 3 * 384 * 4
    assert found["memory_bytes"] >= found["vector_bytes"]


async def test_an_index_is_exported_and_imported(
    client: httpx.AsyncClient, weather: str, server: ServerProcess, tmp_path: Path
) -> None:
    response = await client.get(f"/indexes/{weather}/export")
    assert response.headers["content-disposition"] == 'attachment; filename="weather.motet"'
    assert len(response.content) == int(response.headers["content-length"])
    files = {"file": ("weather.motet", response.content)}
    made = await client.post("/indexes/import", files=files, data={"name": "weather-2"})
    assert (made.status_code, made.json()["documents"]) == (201, 3)
    file = tmp_path / "weather.motet"
    file.write_bytes(response.content)
    made = await client.post("/indexes/import", json={"path": str(file), "name": "weather-3"})
    assert made.status_code == 201
    question = "Where does it rain?"
    original = await search(client, weather, question)
    for copy in ("weather-2", "weather-3"):
        found = await search(client, copy, question)
        assert [each["id"] for each in found] == [each["id"] for each in original]
        assert (await cite(client, copy, found[0]))["text"] == original[0]["text"]
    again = await client.post("/indexes/import", files=files, data={"name": "weather-2"})
    error_of(again, 409, "index_exists")
    broken = {"file": ("x.motet", response.content[:-4096] + b"\0" * 4096)}
    error_of(await client.post("/indexes/import", files=broken), 422, "invalid_snapshot")
    assert (await client.post("/indexes/import", files={"other": b""})).status_code == 422
    assert list((server.home / "exchange").iterdir()) == []


async def test_an_index_is_rebuilt(client: httpx.AsyncClient, weather: str) -> None:
    before = await search(client, weather, "winter")
    rebuilt = await client.post(f"/indexes/{weather}/rebuild")
    assert (rebuilt.status_code, rebuilt.json()["passages"]) == (200, 3)
    assert await search(client, weather, "winter") == before


# Filling in other ways


async def test_a_folder_is_indexed_in_the_background_and_refreshed(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "one.md").write_text("One is a number.")
    await client.post("/indexes", json={"name": "folders", "folders": [str(tmp_path)]})
    body = {"folder": str(tmp_path), "background": True}
    begun = await client.post("/indexes/folders/documents", json=body)
    assert begun.status_code == 202
    async with asyncio.timeout(BOUND_S):
        id = begun.json()["ingest"]
        while (state := await ingest(client, "folders", id)) == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert state == "finished"
    (tmp_path / "two.md").write_text("Two is one more.")
    report = (await client.post("/indexes/folders/refresh")).json()
    assert (report["added"], report["unchanged"]) == (1, 1)
    path = "/indexes/folders/ingests"
    error_of(await client.delete(f"{path}/none"), 404, "ingest_not_found")
    assert (await client.delete(f"{path}/{begun.json()['ingest']}")).status_code == 204


async def ingest(client: httpx.AsyncClient, index: str, id: str) -> str:
    """The state of an ingest."""
    listed = (await client.get(f"/indexes/{index}/ingests")).json()["ingests"]
    return str(next(each["state"] for each in listed if each["id"] == id))


async def test_a_site_is_crawled(client: httpx.AsyncClient, site: Site) -> None:
    await client.post("/indexes", json={"name": "site"})
    page = b"<title>Start</title><p>Welcome.</p><a href='/eels'>eels</a><a href='/no'>no</a>"
    site.page("/", page, "text/html")
    site.page("/eels", b"<title>Eels</title><p>Eels swim to the Sargasso Sea.</p>", "text/html")
    site.redirect("/no", "http://169.254.169.254/")
    report = await add_documents(client, "site", json={"crawl": site.url("/"), "max_pages": 10})
    assert (report["added"], report["stopped"]) == (2, None)
    assert [each["code"] for each in report["failed"]] == ["forbidden_address"]
    [best] = await search(client, "site", "Where do eels go?", limit=1)
    assert (best["source"], best["title"]) == (site.url("/eels"), "Eels")
    site.page("/sitemap.txt", site.url("/eels").encode())
    report = await add_documents(client, "site", json={"sitemap": site.url("/sitemap.txt")})
    assert report["failed"] == []
    for wrong in ({"crawl": "file:///etc/passwd"}, {"sitemap": "x", "url": "y"}, {"crawl": ""}):
        assert (await client.post("/indexes/site/documents", json=wrong)).status_code == 422


async def test_a_watched_folder_is_followed(client: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "later" / "notes"
    body = {"name": "watched", "folders": [str(folder)], "watch": True}
    assert (await client.post("/indexes", json=body)).status_code == 201
    folder.mkdir(parents=True)
    (folder / "bees.md").write_text("Bees dance to tell where the clover is.")
    async with asyncio.timeout(BOUND_S):
        while not await search(client, "watched", "bees"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        (folder / "bees.md").unlink()
        while await search(client, "watched", "bees"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (await client.delete("/indexes/watched")).status_code == 204


# What a request may not say


async def test_folders_and_snapshots_are_named_below_the_roots_of_the_settings_alone(
    client: httpx.AsyncClient, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.getbasetemp().parent.parent
    (tmp_path / "link").symlink_to(outside)
    await client.post("/indexes", json={"name": "rooted"})
    for named in (outside, tmp_path / "link", f"{tmp_path}/../../../..", "/", "~"):
        for body in ({"folder": str(named)}, {"folder": str(named), "background": True}):
            refused = await client.post("/indexes/rooted/documents", json=body)
            assert error_of(refused, 403, "forbidden")["details"]["setting"] == "folders"
        for path, body in (
            ("/indexes", {"name": "n", "folders": [str(named)]}),
            ("/indexes", {"name": "n", "folders": [str(tmp_path), str(named)], "watch": True}),
            ("/indexes/import", {"path": f"{named}/x.motet"}),
        ):
            forged = {"x-motet-owner": "guess"}
            error_of(await client.post(path, json=body, headers=forged), 403, "forbidden")
    assert (await client.get("/indexes/n")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/search", {"query": "x"}),
        ("/search", {"query": "x", "indexes": []}),
        ("/search", {"query": "x", "indexes": ["docs"], "expand": "page"}),
        ("/indexes/docs/search", {"query": "x", "indexes": ["docs"]}),
        ("/indexes/docs/search", {"query": "x", "mode": "fuzzy"}),
        ("/indexes/docs/search", {"query": "x", "where": ["a"]}),
        ("/indexes/docs/documents", {"text": "x", "source": "y", "background": True}),
        ("/indexes/docs/documents", {"crawl": "http://example.org/", "max_pages": 0}),
        ("/indexes/import", {"name": "x"}),
    ],
)
async def test_bodies_are_strict(
    path: str, body: dict[str, Any], client: httpx.AsyncClient
) -> None:
    response = await client.post(path, json=body)
    assert response.status_code == 422
    assert response.json()["error"]["family"] == "invalid"
