"""HTTP as browsers and tools speak it: what every answer has, and what no route says."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from server.http.security_headers import SECURITY_HEADERS
from tests.support.service import error_of

PAGE = b"<!doctype html><title>Mine</title><script>fetch('/agents')</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def uploaded(client: httpx.AsyncClient, name: str, data: bytes, kind: str) -> str:
    """The address of an artifact."""
    response = await client.post("/artifacts", files={"files": (name, data, kind)})
    assert response.status_code == 201, response.text
    url: str = response.json()["artifacts"][0]["url"]
    return url


async def exchange(server: ServerProcess, request: bytes) -> tuple[int, httpx.Headers, bytes]:
    """Send bytes as they are and read the answer to its end."""
    url = httpx.URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request)
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.decode().split("\r\n")
    headers = httpx.Headers(
        [(name, value) for name, _, value in (x.partition(": ") for x in lines)]
    )
    return int(status.split()[1]), headers, body


def assert_secured(headers: httpx.Headers) -> None:
    assert {name.lower() for name in SECURITY_HEADERS} <= headers.keys()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/agents/ask/picture.svg", 200),
        ("GET", "/agents/nobody", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/agents", 405),
        ("POST", "/threads/search?x", 415),
        ("GET", "/models/events", 200),
    ],
)
async def test_every_answer_tells_browsers_to_run_nothing(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    content = b"{}" if method == "POST" else None
    async with client.stream(method, path, content=content) as response:
        assert response.status_code == status
        assert_secured(response.headers)
        assert "'none'" in response.headers["content-security-policy"]


async def test_page_of_another_site_is_refused_with_the_headers_too(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/agents", headers={"Origin": "https://evil.example"})
    error_of(response, 403, "forbidden")
    assert_secured(response.headers)


@pytest.mark.parametrize(
    ("name", "data", "sent", "served"),
    [
        ("a.html", PAGE, "text/html", "text/html; charset=utf-8"),
        ("a.xhtml", PAGE + b"<p/>", "application/xhtml+xml", "application/octet-stream"),
        ("a.svg", SVG, "image/svg+xml", "image/svg+xml"),
        ("a.xml", b"<a/>", "text/xml", "application/octet-stream"),
        ("a.js", b"alert(1)", "text/javascript", "application/octet-stream"),
        ("a.mjs", b"alert(2)", "application/x-javascript", "application/octet-stream"),
        ("a.css", b"a { color: red }", "text/css", "application/octet-stream"),
        ("a.mml", b"<math/>", "application/mathml+xml", "application/octet-stream"),
        ("a.wasm", b"\0asm1", "application/wasm", "application/octet-stream"),
        ("a.swf", b"FWS", "application/x-shockwave-flash", "application/octet-stream"),
        ("a.bin", b"odd", "text/plain2", "application/octet-stream"),
        ("a.mht", b"MIME", "multipart/related", "application/octet-stream"),
        ("a.xsl", b"<x/>", "text/xsl", "application/octet-stream"),
    ],
)
async def test_artifact_that_may_run_is_a_download(
    client: httpx.AsyncClient, name: str, data: bytes, sent: str, served: str
) -> None:
    response = await client.get(await uploaded(client, name, data, sent))
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["content-type"] == served
    assert "sandbox" in response.headers["content-security-policy"]
    assert_secured(response.headers)


async def test_second_media_type_in_the_parameters_of_one_is_not_served(
    client: httpx.AsyncClient,
) -> None:
    url = await uploaded(client, "a", b"<script>alert(1)</script>", "text/plain;,text/html")
    response = await client.get(url)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_picture_of_a_graph_runs_and_loads_nothing(client: httpx.AsyncClient) -> None:
    response = await client.get("/agents/ask/picture.svg")
    policy = response.headers["content-security-policy"]
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "sandbox"} <= {
        part.strip() for part in policy.split(";")
    }


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"garbage\r\n\r\n", 400, "malformed_body"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400, "malformed_body"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed_body"),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400, "malformed_body"),
        (b"POST /threads HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "malformed_body"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431, "too_large"),
    ],
    ids=["no HTTP", "path of bytes", "proxy", "no header", "no length", "endless head"],
)
async def test_what_the_http_server_refuses_has_the_envelope_and_the_headers(
    server: ServerProcess, request_: bytes, status: int, code: str
) -> None:
    answered, headers, body = await exchange(server, request_)
    response = httpx.Response(answered, headers=headers, content=body)
    error_of(response, status, code)
    assert_secured(headers)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.2"])
async def test_offer_of_another_protocol_costs_no_body(
    server: ServerProcess, protocol: bytes
) -> None:
    body = b'{"metadata": {"who": "java"}}'
    answered, _, content = await exchange(
        server,
        b"POST /threads HTTP/1.1\r\nHost: localhost\r\nConnection: close, Upgrade\r\n"
        b"Upgrade: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (protocol, len(body), body),
    )
    thread: dict[str, Any] = httpx.Response(answered, content=content).json()
    assert thread["metadata"] == {"who": "java"}
