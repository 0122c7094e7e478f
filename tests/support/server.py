"""An ASGI app on a free loopback port, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn

ACCEPTING_TURNS = 10


class PromptServer(uvicorn.Server):
    """A server that ends as soon as `stopping` is set, not after two of its ticks."""

    stopping: asyncio.Event

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        listening = [each for server in self.servers for each in server.sockets]
        for each in listening:
            asyncio.get_running_loop().remove_reader(each.fileno())
        # What was just accepted becomes known some turns later; asyncio would leave it open, were
        # the server closed before.
        for _ in range(ACCEPTING_TURNS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # They close in the next turn; once the loop ended, their clients would wait for ever.
        await asyncio.sleep(0)


class ServerThread:
    """Serves `app` between `start` and `stop`; the port stays the same over restarts.

    Connections are accepted from the moment `start` returns. `stop` drops what is under way and
    refuses what comes after it, as a killed server does.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        self._app = app
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        # Not `create_server`: its sockets tell no protocol, so that asyncio would leave Nagle's
        # algorithm on, and every answer of two writes would take 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(512)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app, log_level="critical", access_log=False, server_header=False, ws="none"
        )
        self._server = PromptServer(config)
        self._server.stopping = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_run, args=(self._loop, self._server, listener), name="double", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._server is None or self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._server.stopping.set)
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), "the double did not stop"
        self._loop = self._server = self._thread = None


def _run(loop: asyncio.AbstractEventLoop, server: PromptServer, listener: socket.socket) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(server.serve(sockets=[listener]))
