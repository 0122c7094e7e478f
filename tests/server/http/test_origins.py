"""A web page must not reach the service through its reader's browser."""

from __future__ import annotations

import httpx
import orjson
import pytest
from starlette.responses import PlainTextResponse

from server.http.origins import LocalOnly

LOCAL = LocalOnly(PlainTextResponse("served"))


async def asked(headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(LOCAL)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        return await client.post("/agents/ask/run", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8000"},
        {"Host": "[::1]:8000"},
        {"Host": "motet"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://[::1]"},
    ],
    ids=str,
)
async def test_request_from_this_machine_is_served(headers: dict[str, str]) -> None:
    assert (await asked(headers)).text == "served"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": "localhost@evil.example"},
        {"Host": "192.168.0.5:8000"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example:8000"},
        {"Origin": "http://localhost@evil.example"},
        {"Origin": "null"},
        {"Origin": "file://"},
    ],
    ids=str,
)
async def test_request_from_a_page_of_another_site_is_refused(headers: dict[str, str]) -> None:
    response = await asked(headers)
    error = orjson.loads(response.content)["error"]
    assert (response.status_code, error["code"]) == (403, "forbidden")
    assert error["details"] == {"field": next(iter(headers))}
