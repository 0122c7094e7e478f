"""Files that people bring: uploads, inputs of agents, pictures that searches find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.command import Motet
from tests.support.media import png
from tests.support.service import error_of, read_events, run_to_end
from tests.support.site import Site, serving
from tools.references import encode_data_url

PICTURE = png("a picture", 60, 40)
DESCRIBE = "/agents/describe/run"


async def uploaded(client: httpx.AsyncClient, name: str, data: bytes, kind: str) -> dict[str, Any]:
    response = await client.post("/artifacts", files={"files": (name, data, kind)})
    assert response.status_code == 201, response.text
    artifact: dict[str, Any] = response.json()["artifacts"][0]
    return artifact


async def test_an_upload_is_an_artifact(client: httpx.AsyncClient) -> None:
    artifact = await uploaded(client, "My photo.png", PICTURE, "application/octet-stream")
    assert (artifact["media_type"], artifact["name"]) == ("image/png", "my-photo.png")
    fetched = await client.get(artifact["url"])
    assert fetched.content == PICTURE
    assert fetched.headers["content-disposition"] == 'inline; filename="my-photo.png"'
    assert "sandbox" in fetched.headers["content-security-policy"]
    about = (await client.get(f"{artifact['url']}/about")).json()
    assert about["provenance"] == {"name": "My photo", "tool": "upload", "source": "upload"}


async def test_range_request_returns_a_part_of_an_artifact(client: httpx.AsyncClient) -> None:
    artifact = await uploaded(client, "a.bin", bytes(range(100)), "application/octet-stream")
    part = await client.get(artifact["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/100"


async def test_several_files_are_sent_at_once(client: httpx.AsyncClient) -> None:
    files = [("files", ("a.png", PICTURE)), ("files", ("b.txt", b"text", "text/plain"))]
    response = await client.post("/artifacts", files=files)
    kinds = [each["media_type"] for each in response.json()["artifacts"]]
    assert kinds == ["image/png", "text/plain"]


async def test_a_file_comes_as_a_data_url_or_from_an_address(client: httpx.AsyncClient) -> None:
    body = {"data": encode_data_url(PICTURE, "image/png"), "name": "shot.png"}
    (kept,) = (await client.post("/artifacts", json=body)).json()["artifacts"]
    assert (await client.get(kept["url"])).content == PICTURE
    async with serving(Site()) as site:
        site.page("/logo.png", png("logo"), "image/png")
        response = await client.post("/artifacts", json={"url": site.url("/logo.png")})
    (fetched,) = response.json()["artifacts"]
    assert (fetched["name"], fetched["media_type"]) == ("logo.png", "image/png")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://10.0.0.1/a.png"}, 422, "forbidden_address"),
        ({"url": "file:///etc/passwd"}, 422, "invalid_reference"),
        ({"data": "data:image/png;base64,%%"}, 422, "invalid_reference"),
        ({}, 422, "invalid_request"),
        ({"url": "http://a.b/c", "data": "data:,x"}, 422, "invalid_request"),
    ],
)
async def test_what_is_no_file_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    error_of(await client.post("/artifacts", json=body), status, code)


async def test_a_form_without_a_file_and_other_bodies_are_refused(
    client: httpx.AsyncClient,
) -> None:
    empty = await client.post("/artifacts", files={"files": (None, "text")})
    error_of(empty, 422, "invalid_request")
    raw = await client.post("/artifacts", content=PICTURE, headers={"content-type": "image/png"})
    error_of(raw, 415, "unsupported_media_type")


async def test_a_file_is_the_input_of_an_agent(client: httpx.AsyncClient) -> None:
    artifact = await uploaded(client, "a.png", PICTURE, "image/png")
    for picture in (artifact, artifact["id"], encode_data_url(PICTURE, "image/png")):
        run = await run_to_end(client, "describe", {"picture": picture, "index": ""})
        assert run["output"]["caption"]
        assert run["output"]["model"] == "describer"


async def test_run_stores_artifacts_instead_of_data_urls(client: httpx.AsyncClient) -> None:
    given = {"picture": encode_data_url(PICTURE, "image/png"), "index": ""}
    async with client.stream("POST", DESCRIBE, json={"input": given}) as stream:
        events = await read_events(stream)
    assert events[-1][1]["type"] == "run.finished"
    run = await client.get(f"/runs/{events[-1][1]['run_id']}")
    assert "base64" not in run.text
    assert "base64" not in orjson.dumps([event for _, event in events]).decode()


async def test_a_form_runs_an_agent_with_a_file(client: httpx.AsyncClient) -> None:
    fields = {"input": orjson.dumps({"index": "", "title": "Plain"}).decode(), "stream": "false"}
    files = {"picture": ("formed.png", png("of a form"), "image/png")}
    response = await client.post(DESCRIBE, data=fields, files=files)
    assert response.status_code == 200, response.text
    assert response.json()["output"]["picture"]["name"] == "formed.png"
    wrong = await client.post(DESCRIBE, data=fields, files={"pictur": ("a.png", PICTURE)})
    error = error_of(wrong, 422, "invalid_input")
    assert "'picture'" in error["message"]
    both = {**fields, "stream": "perhaps"}
    refused = await client.post(DESCRIBE, data=both, files=files)
    assert error_of(refused, 422, "invalid_request")["details"]["field"].endswith("stream")


async def test_a_search_finds_a_picture_by_what_is_in_it(client: httpx.AsyncClient) -> None:
    artifact = await uploaded(client, "a.png", PICTURE, "image/png")
    run = await run_to_end(client, "describe", {"picture": artifact, "index": "album"})
    body = {"query": run["output"]["caption"]}
    found = (await client.post("/indexes/album/search", json=body)).json()["passages"]
    assert found[0]["source"] == artifact["url"]
    assert (await client.get(found[0]["source"])).content == PICTURE
    document = (await client.get(f"/indexes/album/documents/{found[0]['document']}")).json()
    assert document["metadata"] == {"picture": artifact["url"], "captioned_by": "describer"}


async def test_pictures_in_a_folder_are_indexed_where_an_index_wants_them(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "shot.png").write_bytes(PICTURE)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.md").write_text("# Notes\n\nNothing to see.\n")
    for name, pictures in (("seen", True), ("unseen", False)):
        await client.post("/indexes", json={"name": name, "pictures": pictures})
        path = f"/indexes/{name}/documents"
        report = (await client.post(path, json={"folder": str(tmp_path)})).json()
        assert [each["source"] for each in report["failed"]] == ["broken.png"] * pictures
        documents = (await client.get(path)).json()["documents"]
        marked = {each["source"]: each["metadata"].get("captioned_by") for each in documents}
        assert marked == {"notes.md": None} | ({"shot.png": "describer"} if pictures else {})


async def test_an_uploaded_picture_is_indexed_by_its_caption(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "shots"})
    files = {"files": ("shot.png", PICTURE, "image/png")}
    report = (await client.post("/indexes/shots/documents", files=files)).json()
    assert report["added"] == 1
    path = f"/indexes/shots/documents/{report['documents'][0]}"
    document = (await client.get(path)).json()
    assert document["text"]
    assert (document["metadata"]["width"], document["metadata"]["height"]) == (60, 40)


@pytest.mark.parametrize("way", ["beside a server", "alone"])
async def test_the_command_takes_files_and_leaves_files(
    way: str, server: ServerProcess, tmp_path: Path
) -> None:
    motet = Motet(server.home if way == "beside a server" else tmp_path / "home")
    (tmp_path / "photo.png").write_bytes(png(way))
    described = await motet("run", "describe", f"picture=@{tmp_path / 'photo.png'}", "index=")
    assert described.status == 0, described
    assert "photo.png" in described.out
    gone = await motet("run", "describe", f"picture=@{tmp_path / 'gone.png'}")
    assert (gone.status, "gone.png' is not there" in gone.error) == (1, True)
    (tmp_path / "tale.md").write_text("# The fox\n\nIt ran.\n")
    told = await motet(
        *("run", "narrate", f"text=@{tmp_path / 'tale.md'}", "--save", tmp_path / "made")
    )
    assert told.status == 0, told
    assert (tmp_path / "made" / "the-fox.mp3").read_bytes()[:3] == b"ID3"
    assert str(tmp_path / "made" / "the-fox.mp3") in told.out
