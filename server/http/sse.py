"""Server-sent events: how they are encoded, and the response that sends them.

The response is our own: the library for it encodes each event for each reader and polls for
shutdown. Here a batch of a run's log is encoded once for all its readers, and a stream ends when
its log closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from config.errors import Invalid
from config.text_streams import escape_line_breaks
from runs.events import END_TYPES, Batch, dumps
from server.http.bodies import MAX_INTEGER
from server.http.negotiation import SSE_TYPE

HEARTBEAT = b": heartbeat\n\n"
BRIEF_S = 0.02
"""A stream that ends so soon needs neither heartbeats nor a watch on its reader."""
ABORT = "motet.abort"
"""Extension of the HTTP server: closes the connection at once."""


class SSEChunk(NamedTuple):
    """Encoded events; the response ends after the chunk with `last`."""

    body: bytes
    last: bool = False


def format_event(type_: str, data: Any, *, id: int | None = None) -> bytes:
    """Format one event for the wire, its data as JSON."""
    number = b"" if id is None else b"id: %d\n" % id
    line = escape_line_breaks(dumps(data))
    return b"%sevent: %s\ndata: %s\n\n" % (number, type_.encode(), line)


def encode_batch(batch: Batch) -> bytes:
    """Encode a batch of a run's log, `id` being the event's number in its run.

    The first reader's encoding is kept in the batch for the others.
    """
    wire = batch.wire.get(SSE_TYPE)
    if wire is None:
        events = b"".join(
            b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), event.json)
            for event in batch.events
        )
        wire = batch.wire[SSE_TYPE] = escape_line_breaks(events)
    return wire


async def encode_run(batches: AsyncIterator[Batch]) -> AsyncGenerator[SSEChunk]:
    """Encode the batches of a run; the one that ends the run, or leaves it waiting, is the last."""
    async for batch in batches:
        yield SSEChunk(encode_batch(batch), batch.events[-1].type in END_TYPES)


def parse_last_event_id(last_event_id: str | None) -> int:
    """Parse the number of the last event that a reader has; 0 where it has none.

    Some clients send -1 for that. Raises `Invalid`.
    """
    if last_event_id is None or last_event_id in ("", "-1"):
        return 0
    try:
        number = int(last_event_id)
    except ValueError:
        number = -1
    if not 0 <= number <= MAX_INTEGER:
        raise Invalid(
            f"Last-Event-ID '{last_event_id[:40]}' is not the number of an event.",
            details={"field": "Last-Event-ID"},
        )
    return number


class ReaderGoneError(Exception):
    """The reader of a stream cannot be reached any more, or takes nothing any more."""


class EventStream(Response):
    """Sends chunks as they come, and comments meanwhile, until the last one.

    `on_disconnect` is awaited when the reader is gone before the end: it left, a heartbeat could
    not be sent, or it has taken nothing for `patience_s`. The chunks are closed with the stream,
    and are not asked for more than the reader takes: `send` waits while its connection is full.
    """

    media_type = SSE_TYPE

    def __init__(
        self,
        chunks: AsyncGenerator[SSEChunk],
        *,
        heartbeat_s: float,
        patience_s: float = 60.0,
        headers: Mapping[str, str] | None = None,
        on_disconnect: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self._chunks = chunks
        self._heartbeat_s = heartbeat_s
        self._patience_s = patience_s
        self._on_disconnect = on_disconnect
        # No proxy may hold events back or keep them.
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self.init_headers({**unbuffered, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream to the end, or until the reader is gone. Raises what the chunks raise."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        body = _Body(send)
        pump = asyncio.create_task(self._pump(body), name="sse")
        tasks = [pump]
        try:
            await asyncio.wait(tasks, timeout=BRIEF_S)
            if not pump.done() or _is_reader_gone(pump):
                await self._watch(body, tasks, scope, receive)
        finally:
            # None of the tasks outlives the request: all have ended before this returns.
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, ReaderGoneError):
                task.result()

    async def _watch(
        self, body: _Body, tasks: list[asyncio.Task[None]], scope: Scope, receive: Receive
    ) -> None:
        """Wait for the end of the stream, the first of `tasks`, or of its reader."""
        [pump] = tasks
        disconnect = asyncio.create_task(wait_disconnected(receive), name="sse disconnect")
        tasks += [disconnect, asyncio.create_task(self._beat(body), name="sse heartbeat")]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # Several may be done: a client that left as the last chunk went out has all of it.
        if not pump.done() or _is_reader_gone(pump):
            if not disconnect.done():
                abort_connection(scope)
            if self._on_disconnect:
                await self._on_disconnect()

    async def _pump(self, body: _Body) -> None:
        async with contextlib.aclosing(self._chunks) as chunks:
            async for chunk, last in chunks:
                # The end goes out with the last event, in one packet.
                await body.send(chunk, last=last)
                if last:
                    return
                # Sending waits for a reader that is slow alone; others have their turn.
                await asyncio.sleep(0)
        await body.send(b"", last=True)

    async def _beat(self, body: _Body) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            try:
                async with asyncio.timeout(self._patience_s):
                    await body.send(HEARTBEAT)
            except TimeoutError as error:
                raise ReaderGoneError from error


def _is_reader_gone(pump: asyncio.Task[None]) -> bool:
    return not pump.cancelled() and isinstance(pump.exception(), ReaderGoneError)


class _Body:
    """Sends the parts of a body one at a time: comments between chunks, and none behind the end."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = asyncio.Lock()
        self._is_ended = False

    async def send(self, part: bytes, *, last: bool = False) -> None:
        """Send a part unless the body has ended. Raises `ReaderGoneError` where that fails."""
        async with self._lock:
            if self._is_ended:
                return
            self._is_ended = last
            try:
                await self._send(
                    {"type": "http.response.body", "body": part, "more_body": not last}
                )
            except Exception as error:
                raise ReaderGoneError from error


def abort_connection(scope: Scope) -> None:
    """Close a client's connection with all that it has not taken, where the HTTP server can."""
    if extension := scope.get("extensions", {}).get(ABORT):
        extension["abort"]()


async def wait_disconnected(receive: Receive) -> None:
    """Wait until the client has left; what it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
