"""The Ollama that Motet starts where none runs: its program, or its container."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from config.errors import MotetError, Unavailable
from models.backends.common.network import is_local
from models.backends.ollama.options import OllamaSettings
from models.devices.accelerator import Accelerator
from models.driver import Progress
from models.servers.container import ServerContainer, prepare_engine
from models.servers.engine import ContainerSpec, device_files
from models.servers.gpus import GpuOptions
from models.servers.managed import ServerHandle, wait_usable
from models.servers.output import Output
from models.servers.process import ServerProcess
from models.servers.readiness import wait_ready
from models.servers.spec import HttpReady

log = logging.getLogger(__name__)

Way = Literal["native", "container"]
PORT = 11434
GRACE_S = 10.0
RETRY_S = 30.0
MODELS = "/root/.ollama"  # within the container
SETTINGS = {"OLLAMA_MAX_LOADED_MODELS": "64", "OLLAMA_KEEP_ALIVE": "-1"}
"""Only our scheduler unloads models, so Ollama must not think that it has too many."""


@dataclass(frozen=True, slots=True)
class StartPlan:
    """How to start it: the ways to try in order, or why not at all, for people."""

    ways: Sequence[Way] = ()
    why_not: str = ""


def plan(settings: OllamaSettings, url: str, program: str | None) -> StartPlan:
    """Decide how to start it. Pure; `program` is where it was found."""
    if settings.start == "never":
        return StartPlan(why_not="`backends: ollama: start:` in models.yaml lets Motet start it.")
    if not is_local(url):
        return StartPlan(why_not="It is on another machine, where Motet starts nothing.")
    native: tuple[Way, ...] = ("native",) if program else ()
    absent = f"There is no program '{settings.program}' on this machine."
    if settings.start == "native":
        return StartPlan(native, "" if native else absent)
    if settings.start == "container":
        return StartPlan(("container",))
    return StartPlan((*native, "container"), "" if native else absent)


class OllamaServer:
    """Starts, stops and starts anew what it started itself, and nothing else. `stop` it."""

    def __init__(
        self,
        settings: OllamaSettings,
        url: str,
        accelerators: Sequence[Accelerator],
        home: str,
        environ: Mapping[str, str] = os.environ,
        present: Callable[[], Sequence[str]] = device_files,
    ) -> None:
        self._settings = settings
        self._url = url
        self._accelerators = accelerators
        self._owner = f"{home}#ollama"
        self._environ = environ
        self._present = present
        self._running: ServerHandle | None = None
        self._turn = asyncio.Lock()
        self._starting: asyncio.Task[Way] | None = None
        self._failed_until_s = 0.0
        self.way: Way | None = None
        self.doing = ""

    @property
    def started(self) -> bool:
        """Whether one that was started here runs."""
        return self._running is not None and not self._running.exited.done()

    @property
    def installed(self) -> bool:
        """Whether its program is on this machine."""
        return shutil.which(self._settings.program) is not None

    @property
    def plan(self) -> StartPlan:
        return plan(self._settings, self._url, shutil.which(self._settings.program))

    async def start(self, progress: Progress) -> Way:
        """Return when it answers; how it was started. One that runs already is that one.

        Raises `Unavailable` ("ollama_not_startable") saying why for each way, or `TimedOut`.
        """
        async with self._turn:
            if self.started and self.way:
                return self.way
            reasons = [self.plan.why_not] if self.plan.why_not else []
            for way in self.plan.ways:
                try:
                    self._running = await self._begin(way, self._noting(progress))
                except MotetError as error:
                    reasons.append(error.message)
                    continue
                finally:
                    self.doing = ""
                self.way = way
                log.info("Ollama was started (%s)", way)
                return way
        raise Unavailable(
            f"Ollama cannot be started: {' '.join(reasons)}", code="ollama_not_startable"
        )

    async def ensure_started(self, within_s: float) -> None:
        """Start it for whoever needs it, in the background when `within_s` is not enough.

        Raises `Unavailable`: "ollama_starting", or why it cannot be started, which is kept for a
        while. Safe to be called by many.
        """
        if self._starting is None or self._retriable:
            self._starting = asyncio.create_task(
                self.start(lambda progress_line: None), name="ollama"
            )
            self._starting.add_done_callback(_retrieve_error)
        await asyncio.wait([self._starting], timeout=within_s)
        if not self._starting.done():
            raise Unavailable(
                f"Ollama is being started: {self.doing or 'it is starting'}.",
                code="ollama_starting",
                retry_after_s=2.0,
            )
        if self._starting.exception() and self._failed_until_s <= 0:
            self._failed_until_s = asyncio.get_running_loop().time() + RETRY_S
        self._starting.result()

    @property
    def _retriable(self) -> bool:
        """Whether the last start is over, and may be made again."""
        if self._starting is None or not self._starting.done():
            return False
        if self._failed_until_s > asyncio.get_running_loop().time():
            return False
        self._failed_until_s = 0.0
        return not self.started

    async def stop(self) -> None:
        """End the one that was started here, if any."""
        if self._starting and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        async with self._turn:
            running, self._running, self.way = self._running, None, None
            if running is not None:
                await running.stop(GRACE_S)

    def _noting(self, progress: Progress) -> Progress:
        def report(progress_line: Mapping[str, Any]) -> None:
            self.doing = _describe_progress(progress_line)
            progress(progress_line)

        return report

    async def _begin(self, way: Way, progress: Progress) -> ServerHandle:
        output = Output("ollama")
        running: ServerHandle
        if way == "native":
            progress({"phase": "starting", "server": self._settings.program})
            running = await self._native(output)
        else:
            running = await self._container(output, progress)
        ready = wait_ready(
            "ollama",
            HttpReady(path="/api/version"),
            self._port,
            output,
            self._settings.start_timeout_s,
        )
        await wait_usable(running, ready)
        return running

    async def _native(self, output: Output) -> ServerProcess:
        host = f"{urlsplit(self._url).hostname}:{self._port}"
        env = {name: value for name, value in SETTINGS.items() if name not in self._environ}
        return await ServerProcess.start(
            "ollama",
            [self._settings.program, "serve"],
            output,
            env={**env, "OLLAMA_HOST": host},
            grace_s=GRACE_S,
        )

    async def _container(self, output: Output, progress: Progress) -> ServerContainer:
        engine, gpus = await prepare_engine(self._accelerators, self._present)
        if gpus.why and self._accelerators:
            progress({"phase": "starting", "note": gpus.why})
        return await ServerContainer.start(
            "ollama", self._container_spec(gpus), output, engine, progress
        )

    def _container_spec(self, gpus: GpuOptions) -> ContainerSpec:
        image = self._settings.image
        if gpus.kind == "rocm" and image == OllamaSettings.model_fields["image"].default:
            image = "ollama/ollama:rocm"
        return ContainerSpec(
            name=f"motet-ollama-{self._port}",
            owner=self._owner,
            image=image,
            ports={PORT: self._port},
            env=SETTINGS,
            volumes={self._settings.volume: MODELS},
            health=("CMD", "ollama", "list"),
            gpus=gpus,
        )

    @property
    def _port(self) -> int:
        return urlsplit(self._url).port or 80


def _retrieve_error(task: asyncio.Task[Way]) -> None:
    if not task.cancelled():
        task.exception()  # told to who asks next, not reported as forgotten


def _describe_progress(progress_line: Mapping[str, Any]) -> str:
    """Describe what is being done, for people."""
    total = progress_line.get("total")
    if progress_line.get("phase") == "pulling" and total:
        share = 100 * int(progress_line.get("completed", 0)) // int(total)
        return f"its image is being pulled ({share} %)"
    return str(progress_line.get("note") or f"it is {progress_line.get('phase', 'starting')}")
