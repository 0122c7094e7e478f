"""How the command line reads a server's answers."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from config.errors import Conflict, MotetError
from config.settings import load_settings
from server.cli.client import ServerEvent, connect, read_answer, read_events
from server.data_folder import ADDRESS_FILE, lock_data_folder, server_address

STREAM = (
    b'id: 1\nevent: run.started\ndata: {"a":1}\n\n'
    b": heartbeat\n\n"
    b'id:2\ndata: {"b": "x: y"}\n\n'
    b'event: cut\ndata: {"never": "ended"}'
)


def response(content: bytes, status: int = 200, size: int = 7) -> httpx.Response:
    """A response that comes in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]

    return httpx.Response(status, content=pieces())


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_are_read_however_they_are_cut(size: int) -> None:
    told = [event async for event in read_events(response(STREAM, size=size))]
    assert told == [
        ServerEvent("1", "run.started", {"a": 1}),
        ServerEvent("2", "message", {"b": "x: y"}),
    ]


async def test_events_are_read_whatever_their_texts_hold() -> None:
    text = "a mast\x85a rope\u2028a sail\u2029"
    stream = f'event: token\ndata: {{"text": "{text}"}}\n\n'.encode()

    events = [event async for event in read_events(response(stream))]

    assert events == [ServerEvent("", "token", {"text": text})]


async def test_a_refused_stream_raises_what_the_server_said() -> None:
    body = b'{"error": {"code": "thread_busy", "message": "Busy.", "details": {"field": "t"}}}'
    with pytest.raises(MotetError, match="Busy") as caught:
        [event async for event in read_events(response(body, 409))]
    assert (caught.value.code, caught.value.details) == ("thread_busy", {"field": "t"})


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"[]", b"{}", b'{"error": "x"}'])
async def test_answer_without_the_envelope_is_an_invalid_response(body: bytes) -> None:
    with pytest.raises(MotetError, match="502") as caught:
        await read_answer(response(body, 502))
    assert caught.value.code == "invalid_response"


async def test_answer_without_a_body_is_none() -> None:
    assert await read_answer(httpx.Response(204)) is None
    assert await read_answer(httpx.Response(200, content=b'{"a": 1}')) == {"a": 1}


def test_server_address_is_read_only_while_the_lock_is_held(tmp_path: Path) -> None:
    assert server_address(tmp_path) is None
    (tmp_path / "lock").touch()
    (tmp_path / ADDRESS_FILE).write_text("http://127.0.0.1:1")
    assert server_address(tmp_path) is None  # a killed server leaves its file
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert server_address(tmp_path) == "http://127.0.0.1:1"


def test_data_folder_is_locked_by_one_process_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "new"
    with lock_data_folder(home):
        with pytest.raises(Conflict, match="in use by process") as caught, lock_data_folder(home):
            pass
        assert caught.value.code == "data_folder_in_use"
    with lock_data_folder(home):
        pass


async def test_service_that_breaks_off_is_told_in_words(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, server_url="http://127.0.0.1:9")

    with pytest.raises(MotetError, match="cannot be reached any more") as caught:
        async with connect(settings) as client:
            await client.get("/agents")

    assert caught.value.code == "service_unreachable"
