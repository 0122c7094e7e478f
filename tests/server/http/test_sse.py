"""Events on the wire: encoded once, sent as they come, ended with the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson
import pytest
from starlette.types import Message

from runs.events import Batch, encode_event
from server.http.negotiation import SSE_TYPE
from server.http.sse import (
    ABORT,
    HEARTBEAT,
    EventStream,
    SSEChunk,
    encode_batch,
    encode_run,
    format_event,
)

LONG_S = 60.0


def batch(*types: str, first: int = 1) -> Batch:
    return Batch(
        [
            encode_event("run", first + place, type_, {"data": {"text": "a\nb"}}, at=0.0)
            for place, type_ in enumerate(types)
        ]
    )


class Connection:
    """What a client of an ASGI application sees; it leaves when it is told to."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self._gone = asyncio.Event()
        self._news = asyncio.Event()

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self._news.set()

    def leave(self) -> None:
        self._gone.set()

    async def until(self, chunk: bytes) -> None:
        async with asyncio.timeout(240):
            while chunk not in self.body:
                self._news.clear()
                await self._news.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def stream(chunks: AsyncGenerator[SSEChunk], **more: Any) -> EventStream:
    return EventStream(chunks, **{"heartbeat_s": LONG_S, **more})


def test_an_event_is_its_number_its_type_and_one_line_of_json() -> None:
    lines = encode_batch(batch("token", first=7)).split(b"\n")
    assert lines[0] == b"id: 7"
    assert lines[1] == b"event: token"
    assert lines[2].startswith(b'data: {"type":"token","run_id":"run","seq":7,')
    assert b'"text":"a\\nb"' in lines[2]
    assert lines[3:] == [b"", b""]


def test_events_break_at_newlines_alone_for_readers_that_break_lines_elsewhere_too() -> None:
    text = "a mast\x85a rope\u2028a sail\u2029"
    run = encode_batch(Batch([encode_event("run", 1, "token", {"data": {"text": text}}, at=0.0)]))
    work = format_event("progress", {"text": text})

    lines = [wire.decode().splitlines() for wire in (run, work)]

    assert [len(each) for each in lines] == [4, 3]
    told = [orjson.loads(each[-2].removeprefix("data: ")) for each in lines]
    assert (told[0]["data"]["text"], told[1]["text"]) == (text, text)


def test_a_batch_is_encoded_once_for_all_readers() -> None:
    told = batch("token", "token")
    assert encode_batch(told) is encode_batch(told)
    assert encode_batch(told).count(b"\n\n") == 2
    assert encode_batch(told.after(1)) == encode_batch(told).split(b"\n\n", 1)[1]


@pytest.mark.parametrize("end", ["run.finished", "run.failed", "run.cancelled"])
async def test_the_chunk_with_the_last_event_is_marked(end: str) -> None:
    async def batches() -> AsyncIterator[Batch]:
        yield batch("token")
        yield batch("token", end, first=2)

    marks = [last async for _, last in encode_run(batches())]
    assert marks == [False, True]


async def test_a_stream_ends_with_its_last_chunk() -> None:
    async def chunks() -> AsyncGenerator[SSEChunk]:
        yield SSEChunk(b"one", False)
        yield SSEChunk(b"two", True)
        raise AssertionError("nothing is asked for behind the last one")

    connection = Connection()
    await stream(chunks(), headers={"Location": "/runs/1"})({}, connection.receive, connection.send)
    start, *bodies = connection.sent
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(SSE_TYPE.encode())
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"location"] == b"/runs/1"
    assert [(each["body"], each["more_body"]) for each in bodies] == [
        (b"one", True),
        (b"two", False),
    ]


async def test_a_stream_without_a_last_chunk_ends_with_an_empty_one() -> None:
    async def chunks() -> AsyncGenerator[SSEChunk]:
        yield SSEChunk(b"one", False)

    connection = Connection()
    await stream(chunks())({}, connection.receive, connection.send)
    assert connection.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_others_have_their_turn_while_chunks_that_are_there_are_sent() -> None:
    turns: list[int] = []

    async def count() -> None:
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    async def chunks() -> AsyncGenerator[SSEChunk]:
        counting = asyncio.create_task(count())
        for number in range(100):
            yield SSEChunk(b"one", number == 99)
        counting.cancel()

    connection = Connection()
    await stream(chunks())({}, connection.receive, connection.send)

    assert len(turns) >= 90


async def test_silent_stream_sends_heartbeats() -> None:
    opened = asyncio.Event()

    async def chunks() -> AsyncGenerator[SSEChunk]:
        await opened.wait()
        yield SSEChunk(b"late", True)

    connection = Connection()
    response = stream(chunks(), heartbeat_s=0.01)
    running = asyncio.create_task(response({}, connection.receive, connection.send))
    await connection.until(HEARTBEAT * 2)
    opened.set()
    await running
    assert connection.body.endswith(b"late")


async def test_client_that_leaves_early_calls_on_disconnect_and_ends_the_tasks() -> None:
    told: list[str] = []
    closed = asyncio.Event()

    async def chunks() -> AsyncGenerator[SSEChunk]:
        try:
            yield SSEChunk(b"one", False)
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def gone() -> None:
        told.append("gone")

    connection = Connection()
    before = asyncio.all_tasks()
    response = stream(chunks(), on_disconnect=gone)
    running = asyncio.create_task(response({}, connection.receive, connection.send))
    await connection.until(b"one")
    connection.leave()
    await running
    await asyncio.wait_for(closed.wait(), 240)
    assert told == ["gone"]
    assert asyncio.all_tasks() == before


async def test_client_that_stays_to_the_end_does_not_call_on_disconnect() -> None:
    async def chunks() -> AsyncGenerator[SSEChunk]:
        yield SSEChunk(b"one", True)

    async def gone() -> None:
        raise AssertionError("it stayed")

    connection = Connection()
    await stream(chunks(), on_disconnect=gone)({}, connection.receive, connection.send)


async def test_exception_of_the_chunks_is_raised() -> None:
    async def chunks() -> AsyncGenerator[SSEChunk]:
        yield SSEChunk(b"one", False)
        raise RuntimeError("deliberate")

    connection = Connection()
    with pytest.raises(RuntimeError, match="deliberate"):
        await stream(chunks())({}, connection.receive, connection.send)


async def waiting(closed: asyncio.Event) -> AsyncGenerator[SSEChunk]:
    """One chunk, and then nothing for ever."""
    try:
        yield SSEChunk(b"one")
        await asyncio.Event().wait()
    finally:
        closed.set()


class BrokenConnection(Connection):
    """A client that is gone without a word: only sending to it shows it."""

    def __init__(self, error: Exception | None, broken_part: bytes = HEARTBEAT) -> None:
        super().__init__()
        self._error = error
        self._broken_part = broken_part
        self.aborted = asyncio.Event()
        self.scope = {"extensions": {ABORT: {"abort": self.aborted.set}}}

    async def send(self, message: Message) -> None:
        if message.get("body") == self._broken_part:
            if self._error:
                raise self._error
            await asyncio.Event().wait()
        await super().send(message)


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (OSError("broken pipe"), HEARTBEAT),
        (ConnectionResetError(), HEARTBEAT),
        (RuntimeError("the transport is closed"), HEARTBEAT),
        (None, HEARTBEAT),
        (OSError("broken pipe"), b"one"),
        (None, b"one"),
    ],
    ids=["heartbeat broken", "heartbeat reset", "heartbeat refused", "heartbeat not taken",
         "chunk broken", "chunk not taken"],
)  # fmt: skip
async def test_reader_that_cannot_be_reached_ends_the_stream_and_frees_what_it_holds(
    error: Exception | None, part: bytes
) -> None:
    connection = BrokenConnection(error, part)
    closed, gone = asyncio.Event(), asyncio.Event()

    async def on_disconnect() -> None:
        gone.set()

    before = asyncio.all_tasks()
    response = stream(
        waiting(closed), heartbeat_s=0.01, patience_s=0.01, on_disconnect=on_disconnect
    )
    async with asyncio.timeout(240):
        await response(connection.scope, connection.receive, connection.send)

    assert closed.is_set()
    assert gone.is_set()
    assert connection.aborted.is_set()
    assert asyncio.all_tasks() == before


async def test_no_heartbeat_comes_behind_the_last_event() -> None:
    """Also where the last event waits for room on the connection, as the heartbeat then does."""
    room = asyncio.Event()

    class FullConnection(Connection):
        async def send(self, message: Message) -> None:
            if message.get("body") == b"last":
                asyncio.get_running_loop().call_later(0.05, room.set)
                await room.wait()
            await super().send(message)

    async def chunks() -> AsyncGenerator[SSEChunk]:
        yield SSEChunk(b"last", True)

    connection = FullConnection()
    await stream(chunks(), heartbeat_s=0.001)({}, connection.receive, connection.send)

    assert connection.sent[-1] == {
        "type": "http.response.body",
        "body": b"last",
        "more_body": False,
    }
