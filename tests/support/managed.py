"""A server to be started as a process: `python managed.py PORT [--MODE...]`, plain Python.

Speaks as much of OpenAI's protocol as a chat needs. `--slow`: healthy only after a GET of `/open`.
`--dies`: prints why and ends. `--child`: starts a process of its own, and prints its id.
`--deaf`: does not end when asked to. `--killed-once MARKER`: is killed while it starts, once.
GET `/die` ends it, and so does a prompt with "exit" or "kill" in it, after the first piece.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHUNKS = [
    {"delta": {"role": "assistant", "content": "Hello"}, "index": 0, "finish_reason": None},
    {"delta": {"content": " there."}, "index": 0, "finish_reason": None},
    {"delta": {}, "index": 0, "finish_reason": "stop"},
]
open_now = "--slow" not in sys.argv


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        global open_now
        if self.path == "/die":
            print("the GPU fell off the bus", flush=True)
            os._exit(7)
        open_now = open_now or self.path == "/open"
        self._send(200 if open_now else 503, {"data": [{"id": "only"}], "env": os.environ.get("X")})

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for choice in CHUNKS:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "only"}
            self.wfile.write(
                b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"
            )
            _end(asked)
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _end(asked: bytes) -> None:
    if b"exit" in asked:
        print("the GPU fell off the bus", flush=True)
        os._exit(7)
    if b"kill" in asked:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    if "--dies" in sys.argv:
        sys.exit("no kernel image is available")
    if "--killed-once" in sys.argv:
        marker = Path(sys.argv[sys.argv.index("--killed-once") + 1])
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if "--deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--child" in sys.argv:
        child = subprocess.Popen(["sleep", "600"])
        print(f"child {child.pid}", flush=True)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers)
    print(f"listening on {sys.argv[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
