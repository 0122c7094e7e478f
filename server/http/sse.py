"""Server-sent events over a run's log.

A response of our own: the library for it encodes each event for each reader and polls for
shutdown; here a batch is encoded once for all readers, and a stream ends when its log closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from config.errors import Invalid
from runs.events import END_TYPES, Batch
from server.http.bodies import MAX_INTEGER

HEARTBEAT = b": heartbeat\n\n"
FORMAT = "text/event-stream"


def encode(batch: Batch) -> bytes:
    """The batch as server-sent events, `id` being the event's number in its run."""
    wire = batch.wire.get(FORMAT)
    if wire is None:
        wire = batch.wire[FORMAT] = b"".join(
            b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), event.json)
            for event in batch.events
        )
    return wire


async def encoded(batches: AsyncIterator[Batch]) -> AsyncIterator[tuple[bytes, bool]]:
    """Each batch as bytes, and whether it ends the run."""
    async for batch in batches:
        yield encode(batch), batch.events[-1].type in END_TYPES


def json_wanted(accept: str) -> bool:
    """Whether a client asks for one JSON answer: it names JSON, and events it does not."""
    accepted = accept.lower()
    return "application/json" in accepted and FORMAT not in accepted


def position(last_event_id: str | None) -> int:
    """Where a reader stood; -1, as some clients send, is the beginning. Raises `Invalid`."""
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
    """Sends chunks as they come, and comments meanwhile, until the one that is marked as the last.

    `on_disconnect` is awaited when the client leaves before the end.
    """

    media_type = FORMAT

    def __init__(
        self,
        chunks: AsyncIterator[tuple[bytes, bool]],
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
        gone = asyncio.create_task(disconnected(receive), name="sse disconnect")
        beat = asyncio.create_task(self._beat(send), name="sse heartbeat")
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not pump.done() and self._on_disconnect:
                await self._on_disconnect()
        finally:
            for task in (pump, gone, beat):
                task.cancel()
            await asyncio.wait({pump, gone, beat})
        if not pump.cancelled():
            pump.result()

    async def _pump(self, send: Send) -> None:
        async for chunk, last in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": not last})
            if last:  # it went out with the last event, not in a packet of its own
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})


async def disconnected(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
