"""HTTP as browsers and tools speak it: what every answer has, and what no route says."""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from server.http.security_headers import SECURITY_HEADERS
from tests.support.service import error_of, shouting_agent
from tests.support.socket_gate import SocketGate

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
    async with asyncio.timeout(240):
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
        ("POST", "/threads/search", 415),
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


@pytest.fixture(scope="module")
async def paths(client: httpx.AsyncClient) -> list[str]:
    """The path of every GET route, with what exists where one is needed for a body."""
    url = await uploaded(client, "a.txt", b"0123456789", "text/plain")
    named = {"artifact_id": url.rpartition("/")[2], "name": "ask"}
    described = (await client.get("/openapi.json")).json()["paths"]
    filled = [
        re.sub(r"\{(\w+)\}", lambda match: named.get(match[1], "nobody"), path)
        for path, operations in described.items()
        if "get" in operations
    ]
    return ["/docs", "/openapi.json", *filled]


async def test_head_is_answered_on_every_path_as_get_without_a_body(
    client: httpx.AsyncClient, paths: list[str]
) -> None:
    """On streams too, which end at once."""
    assert len(paths) > 30
    for path in paths:
        async with client.stream("GET", path) as got:
            head = await client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers.keys() - {"date"} >= got.headers.keys() - {"date", "transfer-encoding"}
        assert head.headers.get("content-type") == got.headers.get("content-type"), path


@pytest.mark.parametrize("path", ["/docs", "/agents", "/agents/ask", "/agents/ask/picture.svg"])
async def test_answer_that_a_client_has_is_not_sent_again(
    client: httpx.AsyncClient, path: str
) -> None:
    tag = (await client.get(path)).headers["etag"]
    for method in ("GET", "HEAD"):
        response = await client.request(method, path, headers={"If-None-Match": f'"x", W/{tag}'})
        assert (response.status_code, response.content) == (304, b"")
        assert_secured(response.headers)


async def test_tag_of_an_artifact_is_its_content(client: httpx.AsyncClient) -> None:
    url = await uploaded(client, "b.txt", b"some text", "text/plain")
    first = await client.get(url)
    assert first.headers["etag"] == f'"{url.rpartition("/")[2]}"'
    for headers in (
        {"If-None-Match": first.headers["etag"]},
        {"If-None-Match": "*", "Range": "bytes=0-1"},
        {"If-Modified-Since": first.headers["last-modified"]},
    ):
        assert (await client.get(url, headers=headers)).status_code == 304
    changed = {
        "If-None-Match": '"other"',
        "If-Modified-Since": first.headers["last-modified"],
    }
    assert (await client.get(url, headers=changed)).content == b"some text"


@pytest.mark.parametrize("asked", ["bytes=99-", "bytes=a-b", "nonsense"])
async def test_range_that_an_artifact_does_not_have_is_told(
    client: httpx.AsyncClient, asked: str
) -> None:
    url = await uploaded(client, "b.txt", b"some text", "text/plain")
    response = await client.get(url, headers={"Range": asked})
    error_of(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == "bytes */9"
    assert_secured(response.headers)


async def test_body_in_gzip_is_taken_by_every_kind_of_route(client: httpx.AsyncClient) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    made = await client.post(
        "/threads", content=gzip.compress(b'{"metadata": {"sent": "small"}}'), headers=headers
    )
    assert made.json()["metadata"] == {"sent": "small"}
    yaml = gzip.compress(shouting_agent("zipped").encode())
    headers["Content-Type"] = "application/yaml"
    assert (await client.post("/agents", content=yaml, headers=headers)).status_code == 201
    form = httpx.Request("POST", "http://x", files={"files": ("z.txt", b"zipped file")})
    headers["Content-Type"] = form.headers["content-type"]
    content = gzip.compress(form.read())
    assert (await client.post("/artifacts", content=content, headers=headers)).status_code == 201
    await client.delete("/agents/zipped")


@pytest.mark.parametrize("kind", ["application/json", "application/yaml", "multipart/form-data"])
async def test_body_that_inflates_without_end_is_too_large(
    client: httpx.AsyncClient, kind: str
) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    bomb = gzip.compress(part + bytes(2**21))
    headers = {"Content-Encoding": "gzip", "Content-Type": f"{kind}; boundary=B"}
    path = "/artifacts" if kind.startswith("multipart") else "/agents"
    error_of(await client.post(path, content=bomb, headers=headers), 413, "too_large")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/agents", "GET, HEAD, POST"),
        ("/agents/ask", "GET, HEAD, PUT, DELETE"),
        ("/agents/ask/run", "POST"),
        ("/threads/x", "GET, HEAD, PATCH, DELETE"),
        ("/models/a/b/pin", "GET, HEAD, PUT, DELETE"),
        ("/docs", "GET, HEAD"),
    ],
)
async def test_method_that_is_not_allowed_is_answered_with_all_that_are(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    refused = await client.request("TRACE", path)
    error_of(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == f"{allowed}, OPTIONS"
    told = await client.request("OPTIONS", path)
    assert (told.status_code, told.content) == (204, b"")
    assert told.headers["allow"] == refused.headers["allow"]


async def test_slash_at_the_end_of_a_path_makes_no_difference(client: httpx.AsyncClient) -> None:
    assert (await client.get("/agents/")).json().keys() == {"agents", "problems"}
    assert (await client.get("/models/")).json().keys() >= {"models", "roles"}
    made = await client.post("/threads/", json={})
    assert (await client.delete(f"/threads/{made.json()['thread_id']}/")).status_code == 204
    error_of(await client.get("/agents//"), 404, "route_not_found")
    error_of(await client.delete("/agents/"), 405, "method_not_allowed")


async def test_events_and_json_are_chosen_by_weight(client: httpx.AsyncClient) -> None:
    await client.post("/agents", json={"yaml": shouting_agent("chosen")})
    for accept, kind in (
        ("application/json, text/plain, */*", "application/json"),
        ("application/json;q=0, */*", "text/event-stream; charset=utf-8"),
        ("text/event-stream;q=0, */*", "application/json"),
    ):
        response = await client.post(
            "/agents/chosen/run", json={"input": {"text": "x"}}, headers={"Accept": accept}
        )
        assert response.headers["content-type"] == kind
    await client.delete("/agents/chosen")


@pytest.mark.parametrize("accept", ["application/xml", "*/*;q=0"])
async def test_answer_that_a_client_does_not_take_is_refused_before_work(
    client: httpx.AsyncClient, accept: str
) -> None:
    for method, path in (("GET", "/agents"), ("GET", "/models/events"), ("POST", "/threads")):
        response = await client.request(method, path, headers={"Accept": accept}, json={})
        error_of(response, 406, "not_acceptable")
        assert_secured(response.headers)


async def test_models_tell_no_internal_addresses(client: httpx.AsyncClient) -> None:
    for path in ("/models", "/models/profile"):
        assert "127.0.0.1" not in (await client.get(path)).text


async def test_write_with_a_condition_is_done_where_nothing_has_changed(
    client: httpx.AsyncClient,
) -> None:
    first, second = (
        {"json": {"yaml": shouting_agent("matched").replace("!", sign)}} for sign in "?!"
    )
    new = {"If-None-Match": "*"}
    await client.post("/agents", **second)
    error_of(await client.put("/agents/matched", headers=new, **first), 412, "precondition_failed")
    seen = {"If-Match": (await client.get("/agents/matched")).headers["etag"]}
    assert (await client.put("/agents/matched", headers=seen, **first)).status_code == 200
    error_of(await client.put("/agents/matched", headers=seen, **first), 412, "precondition_failed")
    error_of(await client.delete("/agents/matched", headers=seen), 412, "precondition_failed")
    anything = {"If-Match": "*"}
    assert (await client.delete("/agents/matched", headers=anything)).status_code == 204
    error_of(await client.delete("/agents/matched", headers=anything), 412, "precondition_failed")


async def test_artifact_is_deleted_where_it_is_what_a_client_saw(client: httpx.AsyncClient) -> None:
    url = await uploaded(client, "c.txt", b"seen text", "text/plain")
    tag = (await client.head(url)).headers["etag"]
    other, own = {"If-Match": '"other"'}, {"If-Match": tag}
    error_of(await client.delete(url, headers=other), 412, "precondition_failed")
    error_of(await client.get(url, headers=other), 412, "precondition_failed")
    assert (await client.delete(url, headers=own)).status_code == 204


async def test_client_may_wait_for_leave_to_send_its_body(server: ServerProcess) -> None:
    url = httpx.URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = b"POST /threads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    body = b"Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head + body)
    async with asyncio.timeout(240):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.readline()).split()[1] == b"200"
    writer.close()


@pytest.mark.parametrize("vanishes", [True, False], ids=["reset", "left"])
async def test_run_of_a_reader_that_is_gone_is_cancelled(
    server: ServerProcess, client: httpx.AsyncClient, gate: SocketGate, vanishes: bool
) -> None:
    url = httpx.URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    body = orjson.dumps({"input": {"gate": gate.path}})
    writer.write(
        b"POST /agents/gated/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await gate.knocked()
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    [address] = re.findall("content-location: (.*)\r\n", head)

    if vanishes:
        writer.transport.abort()
    else:
        writer.close()

    events = await client.get(f"{address}/events", timeout=240)
    assert "event: run.cancelled" in events.text
