"""A real `motet serve` process on a data folder of its own, for benchmarks and acceptance tests."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import psutil
from watchfiles import awatch

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 240


class Launched(Protocol):
    """What is used of `asyncio.subprocess.Process`."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def kill(self) -> None: ...

    def terminate(self) -> None: ...

    async def wait(self) -> int: ...


class ServerProcess:
    """A server that can be started, killed and started again on the same data folder.

    `settings` are given as environment variables: `{"drain_s": "1"}` is `MOTET_DRAIN_S=1`. The code
    is that of the checkout `root`, started by its module `program`. The log goes to the file `log`,
    else to this process's.
    """

    def __init__(
        self,
        home: Path,
        *,
        root: Path = ROOT,
        program: str = "server",
        log: Path | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        **settings: str,
    ) -> None:
        self.home = home
        self._start_timeout_s = start_timeout_s
        self._program = program
        self._log = log
        self._root = root
        self.url = ""
        self._settings = {"port": "0", "log_level": "warning", **settings}
        self._process: Launched | None = None

    @property
    def process(self) -> psutil.Process:
        assert self._process
        return psutil.Process(self._process.pid)

    def cpu_s(self) -> float:
        """CPU seconds of the server process so far, its threads included, its workers not."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    async def start(self) -> None:
        """Start and wait until it answers at `url`.

        Where it does not within the time, or this is cancelled, it is killed.
        """
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._root),
            "MOTET_HOME": str(self.home),
            **{f"MOTET_{key.upper()}": value for key, value in self._settings.items()},
        }
        (self.home / "address").unlink(missing_ok=True)
        self._process = await self._launch(environment)
        try:
            self.url = await asyncio.wait_for(self._address(), self._start_timeout_s)
        except BaseException:
            if self._process.returncode is None:
                await asyncio.shield(self.kill())
            raise

    async def _launch(self, environment: Mapping[str, str]) -> Launched:
        with self._log.open("ab") if self._log else nullcontext() as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._program, "serve"),
                env=environment,
                cwd=self._root,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        assert self._process
        self._process.kill()
        await self._process.wait()

    async def wait_ended(self) -> int:
        """Wait until it ends by itself; its exit status."""
        assert self._process
        return await asyncio.wait_for(self._process.wait(), 240)

    async def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self._process
        if self._process.returncode is None:
            self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), 240)

    async def _address(self) -> str:
        assert self._process
        ended = asyncio.Event()
        watching = asyncio.create_task(self._process.wait())
        watching.add_done_callback(lambda _: ended.set())
        file = self.home / "address"
        try:
            if file.exists() and (text := file.read_text()):
                return text
            async for _ in awatch(
                *(self.home,),
                step=10,
                debounce=20,
                stop_event=ended,
                recursive=False,
                yield_on_timeout=True,
                rust_timeout=200,
            ):
                if file.exists() and (text := file.read_text()):
                    return text
        finally:
            watching.cancel()
        raise RuntimeError(f"the server ended with status {self._process.returncode}")


@asynccontextmanager
async def running_server(**settings: str) -> AsyncIterator[ServerProcess]:
    """A server on a fresh data folder, with the benchmarks' agents; stopped on exit."""
    with tempfile.TemporaryDirectory(prefix="motet-bench-") as folder:
        agents = str(Path(__file__).parent / "agents")
        folders = json.dumps([str(ROOT)])
        server = ServerProcess(Path(folder), **{"agents": agents, "folders": folders, **settings})
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
