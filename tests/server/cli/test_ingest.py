"""Filling an index from the command line; a service that may not read folders gets uploads."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from config.errors import Invalid, NotFound
from config.settings import load_settings
from server.cli import ingest
from server.cli.client import connect, read_answer
from server.cli.ingest import IngestSource, add_sources, list_documents, parse_metadata
from server.owner_token import HEADER

FILES = {
    "a.md": "Apples grow.",
    "deep/b.md": "Boats float.",
    "bad.md": "\udcff",
    ".hidden.md": "No.",
}


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(errors="surrogateescape"))
    return tmp_path / "files"


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


async def test_a_folder_is_uploaded_where_the_service_may_not_read_it(
    tmp_path: Path, folder: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MAX_BATCH_FILES", 1)
    settings = load_settings(home=tmp_path / "home")
    async with connect(settings) as client:
        del client.headers[HEADER]
        assert await read_answer(await client.post("/indexes", json={"name": "notes"}))
        report = await ingest.ingest(client, "notes", IngestSource(str(folder)), console)
        found = (await client.get("/indexes/notes/documents")).json()["documents"]
        body = {"folder": str(folder)}
        response = await client.post("/indexes/notes/documents", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
        made = await client.post("/indexes", json={"name": "other", "folders": [str(folder)]})
        assert made.status_code == 403
        body = {"path": str(folder / "a.md")}
        assert (await client.post("/indexes/import", json=body)).status_code == 403
    assert report["added"] == 2
    assert "it is not valid utf-8" in report["failed"][0]["message"]
    assert sorted(document["source"] for document in found) == ["a.md", "deep/b.md"]


async def test_the_owners_command_has_the_service_read_any_folder(
    tmp_path: Path, folder: Path, console: Console
) -> None:
    settings = load_settings(home=tmp_path / "home")

    assert not await add_sources(settings, "notes", [IngestSource(str(folder))], console)

    assert f"{folder}: 2 added" in printed(console)
    assert "bad.md cannot be indexed: it is not valid utf-8" in printed(console)
    in_folder = await list_documents(settings, "notes", {"folder": str(folder)})
    assert len(in_folder["documents"]) == 2


async def test_files_with_metadata_are_found_by_it(
    tmp_path: Path, folder: Path, console: Console
) -> None:
    settings = load_settings(home=tmp_path / "home")
    metadata = parse_metadata(["team=blue", "level=3", "open=true"])
    assert metadata == {"team": "blue", "level": 3, "open": True}
    (folder / "bad.md").unlink()
    assert await add_sources(
        settings, "notes", [IngestSource(str(folder), None, metadata)], console
    )
    found = await list_documents(settings, "notes", {"team": "blue", "level": {"gt": 2}})
    assert len(found["documents"]) == 2
    assert (await list_documents(settings, "notes", {"open": False}))["documents"] == []


async def test_an_index_that_the_service_elsewhere_has_is_filled_by_upload(
    tmp_path: Path, folder: Path, console: Console
) -> None:
    (folder / "bad.md").unlink()
    far = load_settings(home=tmp_path / "home")
    async with connect(far) as client:
        created = await client.post("/indexes", json={"name": "notes"})
        assert await read_answer(created)
        report = await ingest.ingest(
            client, "notes", IngestSource(str(folder)), console, is_local=False
        )
    assert report["added"] == 2


async def test_missing_source_and_malformed_metadata_are_named(
    tmp_path: Path, console: Console
) -> None:
    with pytest.raises(NotFound, match="no folder or file"):
        await add_sources(
            load_settings(home=tmp_path), "notes", [IngestSource("/no/such")], console
        )
    for wrong in ("team", "=blue"):
        with pytest.raises(Invalid, match="is no metadata"):
            parse_metadata([wrong])
