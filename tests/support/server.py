"""An ASGI app on a free loopback port, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn


class ServerThread:
    """Serves `app` between `start` and `stop`; the port stays the same over restarts.

    Connections are accepted from the moment `start` returns. `stop` drops what is under way and
    refuses what comes after it, as a killed server does.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        self._app = app
        self._port = port
        self._server: uvicorn.Server | None = None
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
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), name="double", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), "the double did not stop"
        self._server = self._thread = None
