"""A server as a process of this machine: started, watched, ended with all it started.

The command runs behind `guard`, which ends it when this process is gone, however that ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from config.errors import Unavailable
from models.servers.output import Output
from models.workers.environment import server_environment
from models.workers.launch import EXIT_S, LAST_WORDS_S, describe_exit, kill_group
from models.workers.memory import measure_ram

log = logging.getLogger(__name__)

GUARD = Path(__file__).with_name("guard.py")


class ServerProcess:
    """Get one from `start`; `stop` it. It also ends when this process does, however that ends.

    `exited` completes with how it ended.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, output: Output) -> None:
        self.name = name
        self.output = output
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._process = process
        self._stopping = False
        self._watching = asyncio.create_task(self._watch(), name=f"server {name}")

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        output: Output,
        *,
        env: Mapping[str, str],
        folder: str | None = None,
        grace_s: float = 10.0,
    ) -> ServerProcess:
        """Start the command behind its guard. Raises `Unavailable` (`server_start_failed`)."""
        guard = [sys.executable, "-I", "-S", str(GUARD), str(grace_s)]
        try:
            process = await asyncio.create_subprocess_exec(
                *guard,
                *command,
                # Held open, never written to: its end tells the guard that we are gone.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # GPUs numbered as `models.devices` did, where the server's own entry says nothing.
                env={**server_environment(), "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **env},
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            message = f"The server of '{name}' cannot be started: {error}"
            raise Unavailable(message, code="server_start_failed") from error
        return cls(name, process, output)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ram_bytes(self) -> int:
        """Of the process and everything that it started."""
        return sum(_rss(each) for each in self._family())

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, and after `grace_s` make it. Nothing of it runs when this returns."""
        self._stopping = True
        family = self._family()  # before it ends, for then nobody knows its children any more
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
            try:
                await asyncio.wait([self.exited], timeout=grace_s)
            finally:
                kill_group(self.pid)
        for each in family:  # also what left the group
            with contextlib.suppress(psutil.Error):
                each.kill()
        await asyncio.wait([self._watching], timeout=EXIT_S)

    def explain_end(self, reason: str) -> Unavailable:
        """Return the error of a server that ended; its output is for the log, not for callers."""
        self.output.log_last()
        return Unavailable(
            f"The server of '{self.name}' ended: {reason}.",
            code="server_died",
            details={"model": self.name, "reason": reason, "output": list(self.output)},
        )

    def _family(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self.pid)
            return [own, *own.children(recursive=True)]
        except psutil.Error:
            return []

    async def _watch(self) -> None:
        assert self._process.stdout is not None
        reading = asyncio.create_task(
            self.output.collect(self._process.stdout), name=f"server {self.name}: output"
        )
        returncode = await self._process.wait()
        kill_group(self.pid)
        # What it said last is still in the pipe; but who left the group may hold that open.
        await asyncio.wait([reading], timeout=LAST_WORDS_S)
        reading.cancel()
        if not self._stopping:
            log.warning("the server of %s ended: %s", self.name, describe_exit(returncode))
        self.exited.set_result(describe_exit(returncode))


def _rss(process: psutil.Process) -> int:
    try:
        return measure_ram(process.pid)
    except psutil.Error:
        return 0
