"""Changes and refusals leave a line; reading and ordinary work do not."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import orjson
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from server.http.audit import AuditTrail


async def trail(
    caplog: pytest.LogCaptureFixture, method: str, path: str, status: int = 200, **headers: str
) -> list[dict[str, Any]]:
    """What a request leaves that is answered with this status."""
    caplog.set_level(logging.INFO, "audit")
    transport = httpx.ASGITransport(AuditTrail(PlainTextResponse("", status)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.request(method, path, headers=headers)
    lines = [record.getMessage() for record in caplog.records if record.name == "audit"]
    assert all("\n" not in line for line in lines)
    return [orjson.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/agents"),
        ("PUT", "/agents/shout"),
        ("DELETE", "/agents/shout"),
        ("POST", "/agents/shout/versions/abc/restore"),
        ("DELETE", "/threads/x"),
        ("DELETE", "/runs/x"),
        ("POST", "/runs/x/cancel"),
        ("DELETE", "/artifacts/x"),
        ("POST", "/indexes"),
        ("POST", "/indexes/import"),
        ("DELETE", "/indexes/docs/documents/x"),
        ("POST", "/indexes/docs/calibrate"),
        ("POST", "/models/pull"),
        ("PUT", "/models/a/b/pin"),
        ("POST", "/models/a/unload"),
        ("POST", "/prune"),
        ("POST", "/a/route/to/come"),
    ],
)
async def test_change_leaves_a_line(
    caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    (line,) = await trail(caplog, method, path, 204)
    assert line == {
        "event": "changed",
        "method": method,
        "path": path,
        "status": 204,
        "tenant": "default",
        "client": "127.0.0.1",
        "host": "localhost",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/agents"),
        ("HEAD", "/agents/ask"),
        ("POST", "/agents/ask/run"),
        ("POST", "/runs/x/resume"),
        ("POST", "/search"),
        ("POST", "/indexes/docs/search/"),
        ("POST", "/indexes/docs/documents"),
        ("POST", "/threads"),
        ("POST", "/threads/x/state"),
        ("POST", "/artifacts"),
    ],
)
async def test_reading_and_ordinary_work_leave_none(
    caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    assert await trail(caplog, method, path) == []


async def test_refusal_leaves_a_warning_with_who_was_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    (line,) = await trail(caplog, "GET", "/agents", 403, **headers)
    assert (line["event"], line["origin"]) == ("refused", "https://evil.example")
    assert line["sec-fetch-site"] == "cross-site"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_path_can_write_no_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await trail(caplog, "DELETE", "/agents/a%0aroot%3a%20changed" + "x" * 9999)
    assert line["path"].startswith("/agents/a\nroot: changed")
    assert len(line["path"]) == 200


async def test_change_that_fails_leaves_its_line_too(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("deliberate")

    caplog.set_level(logging.INFO, "audit")
    transport = httpx.ASGITransport(AuditTrail(failing))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(RuntimeError):
            await client.delete("/agents/x")
    (line,) = [orjson.loads(record.getMessage()) for record in caplog.records]
    assert line["status"] == 500
