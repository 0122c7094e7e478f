"""Starts the process of a worker, joined to the server by a socket and a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from config.errors import Unavailable
from models.workers.environment import worker_environment

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
EXIT_S = 5.0
"""A killed process is gone within milliseconds, unless the kernel holds it."""
LAST_WORDS_S = 1.0
"""How long its output is still read after its end."""
STDERR_LINES = 40
"""An error carries so many of the last lines."""
STDERR_LINE_BYTES = 2000


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a worker ended: a negative `returncode` is the signal that ended it."""

    returncode: int
    stderr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launched:
    """A process just started, with our ends of its socket and of its output."""

    process: asyncio.subprocess.Process
    connection: socket.socket
    output: IO[bytes]

    def close(self) -> None:
        self.connection.close()
        self.output.close()


class LastLines:
    """What a process printed last: what an error message needs to be understood."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: deque[str] = deque(maxlen=STDERR_LINES)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    async def collect(self, output: asyncio.StreamReader) -> None:
        """Read the output to its end."""
        rest = b""
        while data := await output.read(2**16):
            *whole, rest = (rest + data).split(b"\n")
            rest = rest[-STDERR_LINE_BYTES:]
            for line in whole:
                self.add(line)
        if rest:
            self.add(rest)

    def add(self, line: bytes) -> str:
        """Keep a line that it printed, and return it as text."""
        text = line[-STDERR_LINE_BYTES:].decode(errors="replace").rstrip()
        self._lines.append(text)
        log.debug("%s: %s", self._name, text)
        return text


async def launch(
    name: str,
    threads: int | None,
    env: Mapping[str, str] | None,
    modules: Sequence[str] = (),
) -> Launched:
    """Start a process that runs `host`, which imports `modules` before anything is asked of it.

    Raises `Unavailable`; nothing is left open then.
    """
    # A pair of sockets, not a named one: nobody else can connect, and no file is left behind.
    ours, theirs = socket.socketpair()
    readable, writable = os.pipe()
    output = os.fdopen(readable, "rb", 0)
    try:
        process = await asyncio.create_subprocess_exec(
            *_command(theirs.fileno(), name, modules),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writable,
            stderr=writable,
            pass_fds=(theirs.fileno(),),
            env=_environment(threads, env),
            start_new_session=True,
        )
    except BaseException as error:
        ours.close()
        output.close()
        if isinstance(error, OSError):
            message = f"The worker '{name}' cannot be started: {error}"
            raise Unavailable(message, code="worker_start_failed") from error
        raise
    finally:
        theirs.close()
        os.close(writable)
    return Launched(process, ours, output)


def _command(connection: int, name: str, modules: Sequence[str]) -> list[str]:
    # -P: modules come from the installation, never from the folder the server was started in.
    start = [sys.executable, "-P", "-X", "faulthandler", "-m", "models.workers.host"]
    return [*start, str(connection), str(os.getpid()), name, *modules]


def _environment(threads: int | None, extra: Mapping[str, str] | None) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**worker_environment(), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    # Not the fastest first, as CUDA does by itself: GPUs must be numbered as `models.devices` did.
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if threads is not None:
        for library in ("OMP", "MKL", "OPENBLAS"):
            environment[f"{library}_NUM_THREADS"] = str(threads)
    return environment | dict(extra or {})


def kill_group(pid: int) -> None:
    """End the process and everything it started, now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def describe_exit(returncode: int | None) -> str:
    if returncode is None:
        return "its connection broke"
    if returncode < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-returncode).name}"
    return f"exit status {returncode}"


def log_failure(task: asyncio.Task[None]) -> None:
    """Log what a task raised that nobody awaits; a callback of its end."""
    if not task.cancelled() and (error := task.exception()):
        log.error("%s failed", task.get_name(), exc_info=error)
