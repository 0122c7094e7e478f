"""No answer may run, frame or sniff in a browser, whoever gives it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from server.http.api_page import api_page
from server.http.application import Application
from server.http.security_headers import FILE_POLICY, PICTURE_POLICY, SECURITY_HEADERS


def application() -> FastAPI:
    app = Application(docs_url=None, redoc_url=None)

    @app.get("/own")
    async def own() -> Response:
        return Response("x", headers={"Content-Security-Policy": "sandbox"})

    @app.get("/stream")
    async def stream() -> Response:
        async def chunks():  # type: ignore[no-untyped-def]
            yield b"x"

        return StreamingResponse(chunks())

    @app.get("/text")
    async def text() -> Response:
        return PlainTextResponse("x")

    @app.get("/cancelled")
    async def cancelled() -> Response:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future

    @app.get("/failing")
    async def failing() -> Response:
        raise RuntimeError("a fault of ours")

    return app


async def ask(path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/text", 200), ("/stream", 200), ("/nowhere", 404), ("/failing", 500), ("/cancelled", 500)],
)
async def test_every_answer_has_the_headers(path: str, status: int) -> None:
    response = await ask(path)

    assert response.status_code == status
    assert (
        SECURITY_HEADERS.items()
        <= {name: response.headers.get(name) for name in SECURITY_HEADERS}.items()
    )


async def test_policy_of_an_answer_itself_stands_alone() -> None:
    response = await ask("/own")
    assert response.headers.get_list("content-security-policy") == ["sandbox"]


@pytest.mark.parametrize("policy", [FILE_POLICY, PICTURE_POLICY])
def test_policy_of_files_lets_nothing_run_and_nothing_load_from_elsewhere(policy: str) -> None:
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["sandbox"] == ""
    assert directives["default-src"] == "'none'"
    assert not {"script-src", "connect-src", "frame-src"} & directives.keys()
    assert "http" not in policy


def test_page_of_the_api_has_neither_scripts_nor_foreign_addresses() -> None:
    app = application()
    app.description = "<script>alert(1)</script>"
    page = api_page(app.openapi())
    text = bytes(page.body).decode()

    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert "/stream" in text
