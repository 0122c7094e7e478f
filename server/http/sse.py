"""Server-sent events: how they are encoded, and the response that sends them.

The response is our own: the library for it encodes each event for each reader and polls for
shutdown. Here a batch of a run's log is encoded once for all its readers, and a stream ends when
its log closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from config.errors import Invalid
from runs.events import END_TYPES, Batch, dumps
from server.http.bodies import MAX_INTEGER
from server.http.negotiation import SSE_TYPE

HEARTBEAT = b": heartbeat\n\n"


class SSEChunk(NamedTuple):
    """Encoded events; the response ends after the chunk with `last`."""

    body: bytes
    last: bool = False


def format_event(type_: str, data: Any, *, id: int | None = None) -> bytes:
    """Format one event for the wire, its data as JSON."""
    number = b"" if id is None else b"id: %d\n" % id
    return b"%sevent: %s\ndata: %s\n\n" % (number, type_.encode(), dumps(data))


def encode_batch(batch: Batch) -> bytes:
    """Encode a batch of a run's log, `id` being the event's number in its run.

    The first reader's encoding is kept in the batch for the others.
    """
    wire = batch.wire.get(SSE_TYPE)
    if wire is None:
        wire = batch.wire[SSE_TYPE] = b"".join(
            b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), event.json)
            for event in batch.events
        )
    return wire


async def encode_run(batches: AsyncIterator[Batch]) -> AsyncIterator[SSEChunk]:
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


class EventStream(Response):
    """Sends chunks as they come, and comments meanwhile, until the last one.

    `on_disconnect` is awaited when the client leaves before the end. The chunks are not asked
    for more than the client takes: `send` waits while its connection is full.
    """

    media_type = SSE_TYPE

    def __init__(
        self,
        chunks: AsyncIterator[SSEChunk],
        *,
        heartbeat_s: float,
        headers: Mapping[str, str] | None = None,
        on_disconnect: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self._chunks = chunks
        self._heartbeat_s = heartbeat_s
        self._on_disconnect = on_disconnect
        # No proxy may hold events back or keep them.
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self.init_headers({**unbuffered, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        pump = asyncio.create_task(self._pump(send), name="sse")
        disconnect = asyncio.create_task(wait_disconnected(receive), name="sse disconnect")
        beat = asyncio.create_task(self._beat(send), name="sse heartbeat")
        try:
            await asyncio.wait({pump, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            # Both may be done: a client that left as the last chunk went out has all of it.
            if not pump.done() and self._on_disconnect:
                await self._on_disconnect()
        finally:
            # None of the tasks outlives the request: all have ended before this returns.
            for task in (pump, disconnect, beat):
                task.cancel()
            await asyncio.wait({pump, disconnect, beat})
        if not pump.cancelled():
            pump.result()

    async def _pump(self, send: Send) -> None:
        async for chunk, last in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": not last})
            # The end went out with the last event, in one packet.
            if last:
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        # Comments fall between chunks, never into one: each is sent whole.
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})


async def wait_disconnected(receive: Receive) -> None:
    """Wait until the client has left; what it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
