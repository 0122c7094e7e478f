"""HEAD, and answers that a client has already."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from server.http.conditional import ConditionalRequests, HeadRequests, find_broken, is_unmodified

TAG = '"abc"'
DATE = "Sun, 29 Nov 2026 06:00:00 GMT"
LATER = "Sun, 29 Nov 2026 07:00:00 GMT"
EARLIER = "Sunday, 29-Nov-26 05:00:00 GMT"


@pytest.mark.parametrize(
    ("request_", "unmodified"),
    [
        ({}, False),
        ({"If-None-Match": TAG}, True),
        ({"If-None-Match": f"W/{TAG}"}, True),
        ({"If-None-Match": f'"x", W/"y" ,{TAG}'}, True),
        ({"If-None-Match": '"a,b", "abc"'}, True),
        ({"If-None-Match": "*"}, True),
        ({"If-None-Match": '"other"'}, False),
        ({"If-None-Match": "abc"}, False),
        ({"If-None-Match": '"abc'}, False),
        ({"If-None-Match": ""}, False),
        ({"If-Modified-Since": DATE}, True),
        ({"If-Modified-Since": LATER}, True),
        ({"If-Modified-Since": EARLIER}, False),
        ({"If-Modified-Since": "soon"}, False),
        ({"If-Modified-Since": "Sun, 29 Nov 99999 06:00:00 GMT"}, False),
        ({"If-None-Match": '"other"', "If-Modified-Since": LATER}, False),
        ({"If-None-Match": TAG, "If-Modified-Since": EARLIER}, True),
    ],
    ids=str,
)
def test_client_has_what_its_tag_or_its_date_says(
    request_: dict[str, str], unmodified: bool
) -> None:
    answer = Headers({"ETag": TAG, "Last-Modified": DATE})
    assert is_unmodified(Headers(request_), answer) is unmodified


@pytest.mark.parametrize(
    ("request_", "broken"),
    [
        ({}, None),
        ({"If-Match": TAG}, None),
        ({"If-Match": "*"}, None),
        ({"If-Match": f'"x", {TAG}'}, None),
        ({"If-Match": f"W/{TAG}"}, "If-Match"),
        ({"If-Match": '"other"'}, "If-Match"),
        ({"If-Match": "abc"}, "If-Match"),
        ({"If-Unmodified-Since": DATE}, None),
        ({"If-Unmodified-Since": "soon"}, None),
        ({"If-Unmodified-Since": EARLIER}, "If-Unmodified-Since"),
        ({"If-Match": TAG, "If-Unmodified-Since": EARLIER}, None),
    ],
    ids=str,
)
def test_condition_is_broken_where_a_client_saw_something_else(
    request_: dict[str, str], broken: str | None
) -> None:
    answer = Headers({"ETag": TAG, "Last-Modified": DATE})
    assert find_broken(Headers(request_), answer) == broken


def test_nothing_matches_what_is_not_there() -> None:
    assert find_broken(Headers({"If-Match": "*"}), None) == "If-Match"
    assert find_broken(Headers({"If-Unmodified-Since": DATE}), None) is None


async def test_writes_with_a_condition_to_one_path_follow_each_other() -> None:
    texts = ["old"]
    app = FastAPI()

    @app.get("/text")
    async def show() -> Response:
        return Response(texts[-1])

    @app.put("/text")
    async def replace() -> Response:
        await asyncio.sleep(0)
        texts.append("new")
        return Response("done")

    app.add_middleware(ConditionalRequests)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        seen = {"If-Match": (await client.get("/text")).headers["etag"]}
        writes = [client.put("/text", headers=seen) for _ in range(5)]
        statuses = [response.status_code for response in await asyncio.gather(*writes)]

    assert sorted(statuses) == [200, 412, 412, 412, 412]


def test_weak_tag_of_an_answer_is_compared_weakly() -> None:
    assert is_unmodified(Headers({"If-None-Match": TAG}), Headers({"ETag": f"W/{TAG}"}))


def test_answer_without_tag_is_what_any_client_with_a_star_has() -> None:
    assert is_unmodified(Headers({"If-None-Match": "*"}), Headers({}))
    assert not is_unmodified(Headers({"If-None-Match": TAG}), Headers({}))


async def ask(method: str, path: str = "/text", **headers: str) -> httpx.Response:
    app = FastAPI()

    @app.get("/text")
    async def text() -> Response:
        return Response("a text", headers={"Cache-Control": "no-cache", "Vary": "Accept"})

    @app.post("/text")
    async def post() -> Response:
        return Response("posted")

    @app.get("/refused")
    async def refused() -> Response:
        return Response("no", 404)

    app.add_middleware(ConditionalRequests)
    app.add_middleware(HeadRequests)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, headers=headers)


async def test_answer_with_our_tag_is_not_sent_again() -> None:
    first = await ask("GET")
    second = await ask("GET", **{"If-None-Match": first.headers["etag"]})

    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["etag"] == first.headers["etag"]
    assert (second.headers["cache-control"], second.headers["vary"]) == ("no-cache", "Accept")
    assert not {"content-length", "content-type"} & second.headers.keys()


@pytest.mark.parametrize(("method", "path"), [("POST", "/text"), ("GET", "/refused")])
async def test_only_what_was_fetched_can_be_unmodified(method: str, path: str) -> None:
    response = await ask(method, path, **{"If-None-Match": "*"})
    assert response.content
    assert "etag" not in response.headers


@pytest.mark.parametrize("path", ["/text", "/refused", "/nowhere"])
async def test_head_has_the_head_of_get_and_no_body(path: str) -> None:
    get, head = await ask("GET", path), await ask("HEAD", path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


async def test_head_of_a_stream_ends_without_waiting_for_its_first_part() -> None:
    sent: list[Message] = []
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body", "body": b"late", "more_body": True})

    async def receive() -> Message:
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            ended.set()

    await HeadRequests(ConditionalRequests(app))(
        {"type": "http", "method": "HEAD", "headers": []}, receive, send
    )

    assert len(sent) == 2
