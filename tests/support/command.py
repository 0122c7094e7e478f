"""The `motet` command as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.server import ROOT


class CommandResult(NamedTuple):
    """What a command said, and how it ended."""

    out: str
    error: str
    status: int


class Motet:
    """Runs `motet` on one data folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    async def __call__(self, *arguments: str | Path) -> CommandResult:
        process = await self.begin(*arguments)
        out, error = await asyncio.wait_for(process.communicate(), 120)
        said = CommandResult(out.decode(), error.decode(), process.returncode or 0)
        assert "Traceback" not in said.out + said.error
        return said

    async def begin(self, *arguments: str | Path) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MOTET_HOME": str(self.home),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", *arguments),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_hear_interrupts,
        )


def _hear_interrupts() -> None:
    """A shell's background job, such as a build's, hands down that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
