"""Handlers that run in real worker processes, one for each thing a worker may do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from config.errors import Invalid
from models.workers.host import Answer, Request, TaskHandle


def _in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor() as pool:
        return pool.submit(work).result()


def kill_once(marker: str) -> None:
    """End this process as `kill -9` does, unless one ended so before."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Recorder:
    """Answers, streams, fails, hangs and crashes as asked; remembers the order of calls."""

    batched = frozenset({"sum"})

    def __init__(self, options: dict[str, Any]) -> None:
        if options.get("fail"):
            raise Invalid("The model file is broken.", code="broken_file")
        if options.get("exit"):
            print("cannot find libmodel.so", file=sys.stderr)
            os._exit(7)
        for marker in options.get("killed_once_at", ()):
            kill_once(marker)
        if options.get("hang"):
            threading.Event().wait()
        self.options = options
        self.calls: list[str] = []
        self.cancelled = 0

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        self.calls.append(header.get("name", method))
        answer: Answer = getattr(self, method)(header, body, task)
        return answer

    def handle_batch(self, method: str, requests: list[Request]) -> list[Answer | Exception]:
        self.calls.append(f"batch of {len(requests)}")
        return [
            ({"sum": sum(header["numbers"])}, b"")
            if header["numbers"]
            else Invalid("Nothing to add.", details={"field": "numbers"})
            for header, _ in requests
        ]

    def echo(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return header, body

    def order(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return {"calls": self.calls, "cancelled": self.cancelled}, b""

    def threads(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return {"omp": os.environ["OMP_NUM_THREADS"], "cwd_in_path": "" in sys.path}, b""

    def count(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        for number in range(header["to"]):
            task.emit({"number": number}, b"x" * number)
        return {"counted": header["to"]}, b""

    def wait(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        """Runs until cancelled, having said that it runs."""
        task.emit({"running": True})
        while not task.cancelled():
            time.sleep(0.005)
        self.cancelled += 1
        return {}, b""

    def hang(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        task.emit({"running": True})
        threading.Event().wait()
        raise AssertionError

    def refuse(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        raise Invalid("No such voice.", code="unknown_voice", details={"field": "voice"})

    def fault(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        raise ZeroDivisionError("a bug in a library")

    def no_json(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return {"bytes": b"no"}, b""

    def crash(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        print("about to crash", file=sys.stderr)
        os.abort()

    def killed_once(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        kill_once(header["marker"])
        return header, body

    def grow(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        self.kept = b"x" * header["bytes"]
        return {}, b""

    def probe(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        """Try what only an attacker would: one attempt by name, and what came of it."""
        attempts: dict[str, Callable[[str], Any]] = {
            "environment": lambda name: os.environ.get(name, ""),
            "connect": lambda port: socket.create_connection(("127.0.0.1", int(port)), 5),
            "datagram": lambda port: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
            "unix": lambda path: socket.socket(socket.AF_UNIX).connect(path),
            "read": lambda path: Path(path).read_text(),
            "list": os.listdir,
            "descriptor": lambda number: os.fstat(int(number)),
            "write": lambda path: Path(path).write_text("written"),
            "run": lambda text: subprocess.run(["/bin/echo", text], capture_output=True).stdout,
            "signal": lambda pid: os.kill(int(pid), 0),
            "thread": lambda text: _in_thread(lambda: text),
        }
        try:
            return {"result": str(attempts[header["attempt"]](header["argument"]))}, b""
        except OSError as error:
            return {"refused": type(error).__name__}, b""

    def spawn(self, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        return {"pid": child.pid}, b""
