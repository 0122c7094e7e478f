"""What a run made is written into a folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from server.cli.artifact_files import save

DATA = b"a picture"


@pytest.fixture
async def client() -> httpx.AsyncClient:
    answer = httpx.MockTransport(lambda request: httpx.Response(200, content=DATA))
    return httpx.AsyncClient(transport=answer, base_url="http://motet")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("book.html", "book.html"),
        ("../../etc/book.html", "book.html"),
        ("/etc/passwd", "passwd"),
        ("..", "abc"),
        ("", "abc"),
        (None, "abc"),
    ],
)
async def test_a_file_stays_in_its_folder_whatever_it_is_called(
    client: httpx.AsyncClient, tmp_path: Path, name: str | None, saved: str
) -> None:
    folder = tmp_path / "deep" / "out"
    async with client:
        path = await save(client, {"id": "abc", "url": "/artifacts/abc", "name": name}, folder)
    assert path == folder / saved
    assert path.read_bytes() == DATA
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


async def test_the_same_file_is_not_written_twice_and_another_beside_it(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    artifact = {"id": "abc", "url": "/artifacts/abc", "name": "a.png"}
    (tmp_path / "a.png").write_bytes(b"another")
    async with client:
        assert (await save(client, artifact, tmp_path)).name == "a-2.png"
        assert (await save(client, artifact, tmp_path)).name == "a-2.png"
