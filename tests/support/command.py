"""The `motet` command as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.server import ROOT
from tests.support.forked import fork_motet


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
        """Run it to its end, forked off."""
        with tempfile.TemporaryDirectory() as folder:
            out, error = Path(folder, "out"), Path(folder, "error")
            words = tuple(map(str, arguments))
            process = fork_motet(words, self._environment(), Path.cwd(), out, error)
            status = await asyncio.wait_for(process.wait(), 120)
            said = CommandResult(out.read_text(), error.read_text(), status)
        assert "Traceback" not in said.out + said.error
        return said

    async def begin(self, *arguments: str | Path) -> asyncio.subprocess.Process:
        """Start it as a shell does, to be read and interrupted on its way."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", *arguments),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_hear_interrupts,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MOTET_HOME": str(self.home),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }


def _hear_interrupts() -> None:
    """A shell's background job, such as a build's, hands down that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
