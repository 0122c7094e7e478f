"""A server that resets connections while its clients still open them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class ResettingServer:
    """Resets the first `resets` connections `ticks` of the event loop after it accepted them.

    It shares the loop with its client, so that a client meets the reset at the same point of its
    opening each time. Later connections get an answer and are closed. `accepted` counts all.
    """

    def __init__(self, resets: int, ticks: int) -> None:
        self.accepted = 0
        self._resets = resets
        self._ticks = ticks
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def open(self) -> None:
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        connection = self._listening.accept()[0]
        self.accepted += 1
        attend = self._reset if self.accepted <= self._resets else self._answer
        self._tasks.append(asyncio.create_task(attend(connection), name="connection"))

    async def _reset(self, connection: socket.socket) -> None:
        for _ in range(self._ticks):
            await asyncio.sleep(0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        connection.close()

    async def _answer(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()


@contextmanager
def resetting_server(resets: int, ticks: int) -> Iterator[ResettingServer]:
    """Serve for as long as the context lasts, on the running loop."""
    server = ResettingServer(resets, ticks)
    server.open()
    try:
        yield server
    finally:
        server.close()
