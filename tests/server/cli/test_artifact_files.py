"""What a run made is written into a folder, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.errors import MotetError
from server.cli.artifact_files import artifacts_in, is_artifact, save

DATA = b"a picture"
ID = "ab" * 32


@pytest.fixture
async def client() -> httpx.AsyncClient:
    answer = httpx.MockTransport(_answer)
    return httpx.AsyncClient(transport=answer, base_url="http://motet")


def _answer(request: httpx.Request) -> httpx.Response:
    assert request.url == f"http://motet/artifacts/{ID}"
    return httpx.Response(200, content=DATA)


def artifact(**claims: Any) -> dict[str, Any]:
    """An artifact as an output has it, or as it claims to be."""
    url = f"/artifacts/{ID}"
    return {"id": ID, "url": url, "media_type": "image/png", "size_bytes": 9, **claims}


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("book.html", "book.html"),
        ("../../etc/book.html", "book.html"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\book.html", "book.html"),
        ("C:\\Windows\\a.dll", "a.dll"),
        (".bashrc", "bashrc"),
        ("../.ssh/.authorized_keys", "authorized_keys"),
        ("nul.txt", "file-nul.txt"),
        ("a\0b\x1b[2J\n.png", "ab[2J.png"),
        ("..", ID),
        ("a/", ID),
        (". . .", ID),
        ("", ID),
        (None, ID),
    ],
)
async def test_a_file_stays_in_its_folder_whatever_it_is_called(
    client: httpx.AsyncClient, tmp_path: Path, name: str | None, saved: str
) -> None:
    folder = tmp_path / "deep" / "out"
    async with client:
        path = await save(client, artifact(name=name), folder)
    assert path == folder / saved
    assert path.read_bytes() == DATA
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


@pytest.mark.parametrize(
    "url",
    ["http://evil.example/x", "//evil.example/x", "/agents", f"/artifacts/{ID}/../../runs", 5],
)
async def test_file_is_fetched_from_the_service_whatever_address_it_claims(
    client: httpx.AsyncClient, tmp_path: Path, url: Any
) -> None:
    async with client:
        assert (await save(client, artifact(url=url, name="a"), tmp_path)).read_bytes() == DATA


@pytest.mark.parametrize(
    "claims",
    [
        {"id": "../../../outside"},
        {"id": "/etc/cron.d/job"},
        {"id": f"{ID}\n"},
        {"id": ID.upper()},
        {"id": ID[1:]},
        {"id": f"{ID}?x"},
        {"id": [ID]},
        {"id": None},
        {"media_type": 5},
        {"size_bytes": "many"},
    ],
)
def test_value_with_another_id_than_of_a_content_is_no_artifact(claims: dict[str, Any]) -> None:
    output = {"answer": [artifact(**claims), {"deep": artifact(**claims)}]}
    assert not is_artifact(artifact(**claims))
    assert list(artifacts_in(output)) == []


async def test_the_same_file_is_not_written_twice_and_another_beside_it(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"another")
    async with client:
        assert (await save(client, artifact(name="a.png"), tmp_path)).name == "a-2.png"
        assert (await save(client, artifact(name="a.png"), tmp_path)).name == "a-2.png"


async def test_neither_links_nor_folders_nor_pipes_of_its_name_are_written_to(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside"
    folder.mkdir()
    (folder / "a.png").symlink_to(outside)
    (folder / "a-2.png").mkdir()
    os.mkfifo(folder / "a-3.png")
    same = tmp_path / "same"
    same.write_bytes(DATA)
    (folder / "a-4.png").symlink_to(same)
    (folder / f".{ID}.part").symlink_to(outside)

    async with client:
        path = await save(client, artifact(name="a.png"), folder)

    assert path.name == "a-5.png"
    assert not path.is_symlink()
    assert not outside.exists()


async def test_redirect_is_not_followed_and_leaves_no_file(tmp_path: Path) -> None:
    headers = {"Location": "http://evil.example/"}
    answer = httpx.MockTransport(lambda request: httpx.Response(302, headers=headers))
    async with httpx.AsyncClient(transport=answer, base_url="http://motet") as client:
        with pytest.raises(MotetError, match="302"):
            await save(client, artifact(name="a.png"), tmp_path)
    assert list(tmp_path.iterdir()) == []
