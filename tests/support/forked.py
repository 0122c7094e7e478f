"""The `motet` command in a process that is forked off one which has imported all that it needs.

From its first line on it is the command as it is. What every such process would spend a second of
a core on, its imports, is done once for all tests of a process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import anyio

from benchmarks.server import ServerProcess
from server.cli.main import main

IMPORTED_LATE = (
    "anyio._backends._asyncio",
    "server.app",
    "server.cli.run",
    "server.event_loop",
    "server.serving",
    "uvicorn.lifespan.off",
    "uvloop",
)
"""What the command imports when it needs it, and its servers need always."""


class ForkedProcess:
    """A process of `motet`, with the methods of `asyncio.subprocess.Process`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self._ended = asyncio.create_task(self._wait_ended(), name=f"end of {process.pid}")

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def _wait_ended(self) -> int:
        await anyio.wait_readable(self._process.sentinel)
        return self._process.exitcode or 0


class ForkedServer(ServerProcess):
    """`motet serve`, which starts in a fraction of its time."""

    async def _launch(self, environment: Mapping[str, str]) -> ForkedProcess:
        return fork_motet(("serve",), environment, self._root, self._log, self._log)


def fork_motet(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    folder: Path,
    stdout: Path | None = None,
    stderr: Path | None = None,
) -> ForkedProcess:
    """Start the command; what it says is appended to files, else goes where ours does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *IMPORTED_LATE])
    process = context.Process(
        target=_be_motet, args=(arguments, dict(environment), folder, stdout, stderr), daemon=True
    )
    # Readline, which pytest loads, sets it for children, whose lines would be that short.
    os.unsetenv("COLUMNS")
    process.start()
    return ForkedProcess(process)


def _be_motet(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: Path,
    stdout: Path | None,
    stderr: Path | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    _redirect(sys.stdout.fileno(), stdout)
    _redirect(sys.stderr.fileno(), stderr)
    # A shell's background job, such as a build's, hands down that SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["motet", *arguments]
    main()


def _redirect(descriptor: int, path: Path | None) -> None:
    if path:
        file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.dup2(file, descriptor)
        os.close(file)
