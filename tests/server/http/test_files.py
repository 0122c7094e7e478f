"""Ranges of a file, and what is none."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from server.http.errors import install_error_handlers
from server.http.files import StoredFile
from tests.support.service import error_of

DATA = bytes(range(100))


async def fetch(file: Path, method: str = "GET", **headers: str) -> httpx.Response:
    app = FastAPI()

    @app.api_route("/file", methods=["GET", "HEAD"], response_class=StoredFile)
    async def stored() -> StoredFile:
        return StoredFile(file, headers={"ETag": '"tag"'})

    install_error_handlers(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, "/file", headers=headers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", DATA[:10]),
        ("bytes=90-", DATA[90:]),
        ("bytes=-5", DATA[-5:]),
        ("bytes=-500", DATA),
        ("bytes=50-999", DATA[50:]),
        (f"bytes=50-{'9' * 30}", DATA[50:]),
        ("BYTES = 1 - 2", DATA[1:3]),
    ],
)
async def test_range_within_a_file_is_sent(file: Path, asked: str, part: bytes) -> None:
    response = await fetch(file, Range=asked)
    assert (response.status_code, response.content) == (206, part)


@pytest.mark.parametrize(
    "asked",
    ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9-5", "bytes=a-b", "bytes=", "bytes=-",
     "bytes=0-1,200-", "bytes=1", "bytes=--5", "bytes=1_0-2_0", "bytes=0-1;", "garbage",
     f"bytes={'9' * 5000}-"],
)  # fmt: skip
async def test_range_that_cannot_be_sent_is_refused_in_the_envelope(file: Path, asked: str) -> None:
    response = await fetch(file, Range=asked)
    error = error_of(response, 416, "range_not_satisfiable")
    assert error["details"] == {"field": "Range", "size_bytes": 100}
    assert response.headers["content-range"] == "bytes */100"


async def test_empty_file_has_no_ranges(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    response = await fetch(tmp_path / "empty", Range="bytes=0-")
    assert response.headers["content-range"] == "bytes */0"
    assert (await fetch(tmp_path / "empty")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "items=0-5"},
        {"Range": "bytes=0-9", "If-Range": '"other"'},
        {"Range": "bytes=200-", "If-Range": '"other"'},
        {"Range": "bytes=0-9", "If-Range": 'W/"tag"'},
        {"Range": "bytes=0-9", "If-Range": "Sun, 29 Nov 2020 06:00:00 GMT"},
    ],
    ids=str,
)
async def test_range_of_another_unit_or_of_another_file_is_not_looked_at(
    file: Path, headers: dict[str, str]
) -> None:
    response = await fetch(file, **headers)
    assert (response.status_code, response.content) == (200, DATA)


async def test_range_of_the_same_file_is_sent(file: Path) -> None:
    modified = (await fetch(file)).headers["last-modified"]
    for same in ('"tag"', modified):
        response = await fetch(file, **{"Range": "bytes=0-9", "If-Range": same})
        assert response.status_code == 206


async def test_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    error_of(await fetch(tmp_path / "gone"), 404, "artifact_not_found")


@pytest.mark.parametrize("asked", ["bytes=0-1", "bytes=999-", "nonsense"])
async def test_range_of_a_file_that_a_client_has_is_not_looked_at(file: Path, asked: str) -> None:
    response = await fetch(file, Range=asked, **{"If-None-Match": '"tag"'})
    assert response.status_code == 200  # the middleware makes it a 304
