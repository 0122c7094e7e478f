"""A real `motet serve` process on a fresh data folder, and how much CPU it has used."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

AGENTS = Path(__file__).parent / "agents"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class ServerProcess:
    """A running server; `home` is its data folder."""

    url: str
    home: Path
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds of the server process so far, its threads included, its workers not."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def running_server(**settings: str) -> AsyncIterator[ServerProcess]:
    """Start a server, wait until it has written its address, stop it on exit."""
    with tempfile.TemporaryDirectory(prefix="motet-bench-") as folder:
        home = Path(folder)
        environment = {
            **os.environ,
            "MOTET_HOME": folder,
            "MOTET_PORT": "0",
            "MOTET_AGENTS": str(AGENTS),
            "MOTET_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
            **{f"MOTET_{key.upper()}": value for key, value in settings.items()},
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.cli", "serve"), env=environment
        )
        try:
            url = await asyncio.wait_for(_address(home), 60)
            yield ServerProcess(url, home, psutil.Process(process.pid))
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 60)


async def _address(home: Path) -> str:
    from watchfiles import awatch

    if (home / "address").exists():
        return (home / "address").read_text()
    async for _ in awatch(home, step=10, debounce=50, recursive=False):
        if (home / "address").exists() and (text := (home / "address").read_text()):
            return text
    raise RuntimeError("the server never became ready")
