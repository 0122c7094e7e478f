"""A receiver of webhooks as a process of its own, which a test may kill and start again.

`python -m tests.support.webhook_receiver PORT SILENT` prints its port, then a line of JSON for each
call, before it answers. The first `SILENT` calls are never answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 240


class ReceiverProcess:
    """Starts a receiver, always on the port that the first one got."""

    def __init__(self) -> None:
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook"

    async def start(self, silent: int = 0) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.webhook_receiver"),
            *(str(self._port), str(silent)),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        self._port = int(await self._read_line())

    async def next_call(self) -> dict[str, Any]:
        """Wait for a call: its `headers` and `body`."""
        call: dict[str, Any] = json.loads(await self._read_line())
        return call

    async def kill(self) -> None:
        assert self._process
        self._process.kill()
        await self._process.wait()

    async def _read_line(self) -> bytes:
        assert self._process
        assert self._process.stdout
        return await asyncio.wait_for(self._process.stdout.readline(), TIMEOUT_S)


class Handler(BaseHTTPRequestHandler):
    """Notes a call, then answers it, or never does."""

    silent = threading.Semaphore(0)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        line = json.dumps({"headers": headers, "body": json.loads(body)})
        # In one piece: calls come in threads, and `print` would write the end of a line apart.
        print(f"{line}\n", end="", flush=True)
        if self.silent.acquire(blocking=False):
            threading.Event().wait()
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *values: Any) -> None:
        """Keep standard output for calls alone."""


def main(port: int, silent: int) -> None:
    Handler.silent = threading.Semaphore(silent)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
