"""A relay before a server that answers one request on each connection and drops the next unread.

llama.cpp's server treats kept connections so, now and then; the relay does it each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class StaleRelay:
    """`dropped` counts the requests that came on a kept connection."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.dropped = 0
        self._host, self._port = urlsplit(target).hostname, urlsplit(target).port

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, sink = await asyncio.open_connection(self._host, self._port)
        answered = asyncio.Event()
        answering = asyncio.create_task(_copy(upstream, writer, answered))
        try:
            while data := await reader.read(65536):
                if answered.is_set():  # so this is the next request
                    self.dropped += 1
                    break
                sink.write(data)
        except ConnectionError:
            pass
        finally:
            sink.close()
            writer.close()
            await asyncio.gather(answering, return_exceptions=True)


async def _copy(
    upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, answered: asyncio.Event
) -> None:
    while data := await upstream.read(65536):
        answered.set()
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def stale_relay(target: str) -> AsyncIterator[StaleRelay]:
    """Relay to the server at `target` for as long as the context lasts."""
    relay = StaleRelay(target)
    server = await asyncio.start_server(relay.relay, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield relay
