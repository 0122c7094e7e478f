"""What runs in the worker processes of the scenarios: weights that only take memory, and talk."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from models.workers.host import Answer, TaskHandle
from tests.support.scenarios.machine import MB, taken_bytes

LEAK_MB = 150


class OutOfMemoryError(RuntimeError):
    """Named as torch's is."""


FULL: dict[str, Exception] = {
    "python": MemoryError(),
    "torch": OutOfMemoryError("Tried to allocate 2.00 GiB."),
    "cuda": RuntimeError("CUDA error: out of memory"),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
    ),
    "cublas": RuntimeError("CUBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling create"),
}


class Talker:
    """`options` say how much it takes and what goes wrong with it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        if gate := options.get("loads_behind"):
            stand_at(gate)
        if (broken := options.get("broken_while")) and Path(broken).exists():
            raise ValueError("bad magic number")
        self._kept = [self._take(options["megabytes"])]

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        getattr(self, method)(header, task)
        return {"memory": len(self._kept)}, b""

    def close(self) -> None:
        if gate := self._options.get("ends_behind"):
            stand_at(gate)

    def say(self, header: dict[str, Any], task: TaskHandle) -> None:
        """Says words; waits at a gate before the last of them, if it is given one."""
        *words, last = header["words"]
        for word in words:
            task.emit({"word": word})
        if gate := header["gate"]:
            stand_at(gate, task)
        task.emit({"word": last})

    def work(self, header: dict[str, Any], task: TaskHandle) -> None:
        """Takes memory for as long as it works."""
        self._take(header["megabytes"], header["full"])

    def leak(self, header: dict[str, Any], task: TaskHandle) -> None:
        """Takes memory and never gives it back."""
        self._kept.append(self._take(LEAK_MB))

    def crash(self, header: dict[str, Any], task: TaskHandle) -> None:
        task.emit({"word": "now"})
        os.kill(os.getpid(), signal.SIGSEGV)

    def hang(self, header: dict[str, Any], task: TaskHandle) -> None:
        task.emit({"word": "still"})
        threading.Event().wait()

    def _take(self, megabytes: int, full: str = "python") -> bytearray:
        """So much memory of the small machine, written to; an error where it has no more."""
        taken = taken_bytes(os.getppid(), self._options["others"])
        if taken + megabytes * MB > self._options["total_bytes"]:
            raise FULL[full]
        return bytearray(b"x") * (megabytes * MB)


def stand_at(path: str, task: TaskHandle | None = None) -> None:
    """Wait until the gate is opened, or nobody waits for the task any more."""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.connect(path)
        while not select.select([gate], [], [], 0.02)[0]:
            if task and task.cancelled():
                return
