"""llama.cpp's own server as a process that can be killed, stopped and started at one address."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from benchmarks.language.files import CONTEXT, THREADS, LocalModel
from benchmarks.server import ROOT

START_TIMEOUT_S = 120.0
PASSIVE = {"OMP_WAIT_POLICY": "passive"}
"""As for Motet's workers: threads that wait do not spin."""


class LlamaServer:
    """A bare server of one model. It keeps its port from its first start on."""

    def __init__(self, model: LocalModel, *flags: str) -> None:
        self.url = ""
        self._model = model
        self._flags = flags
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        template = ("--template", str(self._model.template)) if self._model.template else ()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.language.bare", str(self._model.file)),
            *("--port", str(urlsplit(self.url).port or 0)),
            *("--threads", str(THREADS), "--context", str(CONTEXT), *template, *self._flags),
            cwd=ROOT,
            env={**os.environ, **PASSIVE},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
        if not line:
            raise RuntimeError(f"llama.cpp ended with status {await self._process.wait()}")
        self.url = line.decode().strip()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    async def kill(self) -> None:
        """End it, a stopped one too, and wait until it is gone."""
        assert self._process
        if self.is_running:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running_llama(model: LocalModel, *flags: str) -> AsyncIterator[LlamaServer]:
    """Run a bare server of a model; killed on exit."""
    server = LlamaServer(model, *flags)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
