"""Holds a node of a running server until the test lets it go: a Unix socket, so nothing polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

WAIT_S = 240.0


class SocketGate:
    """What the agent `gated` knocks at. `path` is its input; every knock waits for `open`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._knocked = asyncio.Event()
        self._opened = asyncio.Event()
        self._left = asyncio.Event()

    async def knocked(self) -> None:
        """Wait until a node stands at the gate."""
        await asyncio.wait_for(self._knocked.wait(), WAIT_S)

    def close_again(self) -> None:
        """Forget who knocked, so that `knocked` waits for the next."""
        self._knocked.clear()

    async def left(self) -> None:
        """Wait until a node has gone away from the gate, let through or cancelled."""
        await asyncio.wait_for(self._left.wait(), WAIT_S)

    def open(self) -> None:
        """Let every node through, those to come too."""
        self._opened.set()

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._knocked.set()
        opened = asyncio.create_task(self._opened.wait())
        gone = asyncio.create_task(reader.read())
        try:
            await asyncio.wait({opened, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
            gone.cancel()
            writer.close()
            self._left.set()


@asynccontextmanager
async def open_socket_gate(folder: Path) -> AsyncIterator[SocketGate]:
    """A closed gate; it opens at the end, so that nothing stays behind it."""
    gate = SocketGate(folder / "gate")
    server = await asyncio.start_unix_server(gate.attend, gate.path)
    try:
        yield gate
    finally:
        gate.open()
        server.close()
