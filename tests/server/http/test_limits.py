"""Bodies within their bounds, compressed or not."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from starlette.types import Message

from server.http.errors import install_error_handlers
from server.http.limits import BodyLimit
from tests.support.service import error_of

BOUND = 1_000_000
TEXT = b"a text that is sent " * 100


async def send(body: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    """Send a body to an application that answers with what it has read."""
    app = FastAPI()

    @app.post("/")
    async def echo(request: Request) -> Response:
        assert request.headers.get("content-encoding", "identity") == "identity"
        return Response(await request.body())

    install_error_handlers(app)
    app.add_middleware(BodyLimit, max_body_bytes=BOUND, max_upload_bytes=BOUND)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/", content=body, headers=headers)


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP "])
async def test_body_in_gzip_is_read_as_what_it_holds(coding: str) -> None:
    response = await send(gzip.compress(TEXT), **{"Content-Encoding": coding})
    assert response.content == TEXT


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_body_in_gzip_may_come_in_pieces_and_members(size: int) -> None:
    large = bytes(range(256)) * 3000
    body = gzip.compress(TEXT) + gzip.compress(large)
    response = await send(in_pieces(body, size), **{"Content-Encoding": "gzip"})
    assert response.content == TEXT + large


async def test_empty_body_may_claim_to_be_gzip() -> None:
    assert (await send(b"", **{"Content-Encoding": "gzip"})).content == b""


async def test_piece_that_ends_where_the_inflater_holds_back_is_whole() -> None:
    large = bytes(BOUND)
    response = await send(gzip.compress(large), **{"Content-Encoding": "gzip"})
    assert response.content == large


@pytest.mark.parametrize("size", [10**5, 10**9])
async def test_small_body_that_inflates_beyond_the_bound_is_refused(size: int) -> None:
    bomb = gzip.compress(bytes(BOUND + 1))
    response = await send(in_pieces(bomb, size), **{"Content-Encoding": "gzip"})
    error_of(response, 413, "too_large")


async def test_endless_members_of_nothing_are_refused() -> None:
    body = gzip.compress(b"") * (BOUND // 20 + 1)
    error_of(await send(in_pieces(body, 10**5), **{"Content-Encoding": "gzip"}), 413, "too_large")


@pytest.mark.parametrize(
    "body",
    [TEXT, gzip.compress(TEXT)[:-1], gzip.compress(TEXT)[:-20], gzip.compress(TEXT) + b"x" * 30,
     zlib.compress(TEXT), b"\x1f\x8b"],
    ids=["plain", "cut off", "cut in two", "followed", "deflate", "begun"],
)  # fmt: skip
async def test_body_that_is_not_the_gzip_it_says_is_malformed(body: bytes) -> None:
    response = await send(body, **{"Content-Encoding": "gzip"})
    error_of(response, 400, "malformed_body")


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "nonsense", "gzip;q=0"])
async def test_other_codings_are_refused_with_those_that_are_taken(coding: str) -> None:
    response = await send(TEXT, **{"Content-Encoding": coding})
    error = error_of(response, 415, "unsupported_media_type")
    assert error["details"] == {"field": "Content-Encoding"}
    assert response.headers["accept-encoding"] == "gzip, identity"


async def test_no_coding_may_be_named() -> None:
    assert (await send(TEXT, **{"Content-Encoding": "identity"})).content == TEXT


async def test_body_that_stops_coming_is_not_waited_for() -> None:
    app = FastAPI()

    @app.post("/")
    async def read(request: Request) -> Response:
        return Response(await request.body())

    install_error_handlers(app)
    limited = BodyLimit(app, max_body_bytes=BOUND, max_upload_bytes=BOUND, pause_s=0.01)
    sent: list[Message] = []

    async def receive() -> Message:
        if not received:
            received.append(b"half")
            return {"type": "http.request", "body": b"half", "more_body": True}
        return await asyncio.get_running_loop().create_future()

    async def keep(message: Message) -> None:
        sent.append(message)

    received: list[bytes] = []
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    async with asyncio.timeout(240):
        await limited(scope, receive, keep)

    assert sent[0]["status"] == 408
    assert b"body_timed_out" in sent[1]["body"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip, identity"},
        {"Content-Encoding": "identity,, GZIP"},
        {"Transfer-Encoding": "gzip, chunked"},
    ],
    ids=str,
)
async def test_coding_counts_whichever_header_tells_it(headers: dict[str, str]) -> None:
    assert (await send(gzip.compress(TEXT), **headers)).content == TEXT


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip, gzip"},
        {"Content-Encoding": "gzip", "Transfer-Encoding": "gzip, chunked"},
        {"Transfer-Encoding": "deflate, chunked"},
    ],
    ids=str,
)
async def test_body_that_was_coded_in_other_ways_is_refused(headers: dict[str, str]) -> None:
    error_of(await send(TEXT, **headers), 415, "unsupported_media_type")


async def test_expectation_that_nobody_meets_is_refused() -> None:
    error_of(await send(TEXT, Expect="200-ok"), 417, "expectation_failed")
    assert (await send(TEXT, Expect="100-Continue")).content == TEXT
