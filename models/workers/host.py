"""The worker's side: `python -m models.workers.host FD PARENT NAME [MODULE...]` runs one `Handler`.

The modules are imported before the server says which handler it will be.

A thread reads frames into the inbox; the main thread alone runs the handler, because most model
libraries and txtai break when two threads use them at once. A third thread sends heartbeats.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from models.workers.inbox import Inbox, TaskHandle
from models.workers.memory import measure_ram
from models.workers.protocol import Frame, error_header, receive_frame
from models.workers.sandbox import refuse_network, restrict_files

__all__ = ["Handler", "TaskHandle"]

HEARTBEAT_S = 2.0
PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>: the signal that this process gets when its parent dies."""
BATCH_LIMIT = 64

Request = tuple[dict[str, Any], bytes]
Answer = tuple[dict[str, Any], bytes]


class Handler(Protocol):
    """What a worker's target class offers. Heavy imports belong in its `__init__`.

    Optional: `batched`, the methods whose waiting requests are handed over together to
    `handle_batch(method, requests)`, at most `batch_limit` (64) of them, which returns an answer
    or an exception for each; `memory()`, which tells `device_bytes` taken of an accelerator, from
    any thread; and `close()`, called before a worker ends in peace.
    """

    def __init__(self, options: dict[str, Any]) -> None: ...

    def handle(
        self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle
    ) -> Answer: ...


class Host:
    """Joins a connection and a handler."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._inbox = Inbox(self.send)
        self._handler: Any = None

    def send(self, frame: Frame) -> None:
        head = frame.head()
        # Heartbeats and answers come from two threads; a frame's two parts stay together.
        with self._sending:
            try:
                self._connection.sendall(head)
                self._connection.sendall(frame.body)
            except OSError:
                # The server is gone; the reading thread ends this process.
                return

    def run(self) -> int:
        """Build the handler, answer requests until told to stop, and return the exit status."""
        first = receive_frame(self._connection)
        if first is None or first.kind != "init":
            return 1
        # Before there are other threads, and before a library sees anything foreign.
        _confine(first.header["confinement"])
        # From here on, so that a long import does not outlive the server.
        threading.Thread(target=self._read_frames, name="reader", daemon=True).start()
        try:
            self._handler = _build(first.header["target"], first.header["options"])
        except Exception as error:
            traceback.print_exc()
            self.send(Frame("error", header=error_header(error)))
            return 1
        self.send(Frame("ready", header=self._memory()))
        threading.Thread(target=self._send_heartbeats, name="heartbeat", daemon=True).start()
        self._serve()
        if close := getattr(self._handler, "close", None):
            close()
        return 0

    def _read_frames(self) -> None:
        while frame := receive_frame(self._connection):
            if frame.kind == "call":
                self._inbox.put(frame)
            elif frame.kind == "cancel":
                self._inbox.cancel(frame.id)
            elif frame.kind == "stop":
                self._inbox.close()
        os._exit(1)  # the server is gone, and the main thread may be deep in a library

    def _send_heartbeats(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_S):
            self.send(Frame("heartbeat", header=self._memory()))

    def _memory(self) -> dict[str, Any]:
        measure = getattr(self._handler, "memory", dict)
        return {"ram_bytes": measure_ram(os.getpid()), **measure()}

    def _serve(self) -> None:
        batched: frozenset[str] = getattr(self._handler, "batched", frozenset())
        limit: int = getattr(self._handler, "batch_limit", BATCH_LIMIT)
        while tasks := self._inbox.take(batched, limit):
            try:
                if tasks[0].frame.method in batched:
                    self._answer_together(tasks)
                else:
                    self._answer(tasks[0])
            finally:
                self._inbox.done(tasks)

    def _answer(self, task: TaskHandle) -> None:
        frame = task.frame
        try:
            answer = self._handler.handle(frame.method, frame.header, frame.body, task)
        except Exception as error:
            answer = error
            _report(error)
        self._reply(task, answer)

    def _answer_together(self, tasks: Sequence[TaskHandle]) -> None:
        requests = [(task.frame.header, task.frame.body) for task in tasks]
        try:
            answers = self._handler.handle_batch(tasks[0].frame.method, requests)
        except Exception as error:
            answers = [error] * len(tasks)
            _report(error)
        for task, answer in zip(tasks, answers, strict=True):
            self._reply(task, answer)

    def _reply(self, task: TaskHandle, answer: Answer | Exception) -> None:
        id = task.frame.id
        if not isinstance(answer, Exception):
            try:
                return self.send(Frame("end", id, header=answer[0], body=answer[1]))
            except TypeError as error:  # the handler's header is no JSON
                answer = error
                _report(error)
        return self.send(Frame("error", id, header=error_header(answer)))


def _confine(confinement: dict[str, Any]) -> None:
    if not confinement["files"]:
        restrict_files(confinement["writable"])
    if not confinement["network"] or not confinement["programs"]:
        refuse_network(programs=confinement["programs"])


def _build(target: str, options: dict[str, Any]) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)(options)


def _report(error: Exception) -> None:
    # A refusal of our own families is an answer; anything else is a fault worth its traceback.
    if not hasattr(error, "family"):
        traceback.print_exception(error)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # When memory runs out the kernel should end a worker, which comes back, not the server.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:  # it died before the request above
        os._exit(1)


def _close_inherited(connection: int) -> None:
    """Close what the server, or whoever started it, left open beside the connection.

    Some event loops start processes without doing so, and no sandbox takes back what is open.
    """
    os.closerange(3, connection)
    os.closerange(connection + 1, os.sysconf("SC_OPEN_MAX"))


def main() -> None:
    _close_inherited(int(sys.argv[1]))
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    connection.setblocking(True)
    _die_with(int(sys.argv[2]))
    for module in sys.argv[4:]:
        with contextlib.suppress(Exception):  # whoever needs it is told when it is imported again
            importlib.import_module(module)
    status = Host(connection).run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: libraries' threads and exit handlers may hang, and nothing is left to save.
    os._exit(status)


if __name__ == "__main__":
    main()
