"""What happens to connections, before and behind the application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from server.http import protocol
from server.http.protocol import Protocol
from server.http.sse import abort_connection

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Wire(asyncio.Transport):
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = asyncio.Event()
        self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 8000) if name in ("sockname", "peername") else default

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()

    def abort(self) -> None:
        self.aborted = True
        self.closed.set()

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""


class Waiting:
    """An application that answers nothing until its client is gone."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.scope: Scope = {}
        self.begun = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.scope = scope
        self.begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.left.set()


def connect(app: Any) -> tuple[Protocol, Wire]:
    config = uvicorn.Config(app, http=Protocol, ws="none", lifespan="off", log_config=None)
    config.load()
    connection, wire = Protocol(config, ServerState(), {}), Wire()
    connection.connection_made(wire)
    return connection, wire


async def test_request_under_way_learns_that_its_client_is_gone_though_others_are_behind_it() -> (
    None
):
    app = Waiting()
    connection, wire = connect(app)
    connection.data_received(GET % b"first" + GET % b"second" + GET % b"third")
    async with asyncio.timeout(240):
        await app.begun.wait()
        wire.closed.set()
        connection.connection_lost(None)
        await app.left.wait()
    assert app.paths == ["/first"]
    assert wire.sent == b""


async def test_application_may_cut_a_connection() -> None:
    app = Waiting()
    connection, wire = connect(app)
    connection.data_received(GET % b"stream")
    async with asyncio.timeout(240):
        await app.begun.wait()
    abort_connection(app.scope)
    assert wire.aborted
    connection.connection_lost(None)


@pytest.mark.parametrize("part", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: a"])
async def test_client_that_sends_no_whole_head_is_not_waited_for(
    part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.01)
    connection, wire = connect(Waiting())
    if part:
        connection.data_received(part)
    async with asyncio.timeout(240):
        await wire.closed.wait()
    connection.connection_lost(None)


async def test_request_with_a_whole_head_may_take_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.0)
    app = Waiting()
    connection, wire = connect(app)
    connection.data_received(GET % b"slow")
    async with asyncio.timeout(240):
        await app.begun.wait()
    await asyncio.sleep(0)
    assert not wire.is_closing()
    connection.connection_lost(None)


async def test_offer_of_a_protocol_is_renamed_in_the_head_alone() -> None:
    received: list[bytes] = []
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(dict(scope["headers"]).get(b"x-ignored", b""))
        received.append((await receive())["body"])
        done.set()

    body = b"\r\nUpgrade: text\r\n"
    connection, _ = connect(app)
    connection.data_received(
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUPGRADE : h2c\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    async with asyncio.timeout(240):
        await done.wait()
    assert received[1] == body
    connection.connection_lost(None)
