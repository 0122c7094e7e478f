"""The server of one model, from its start to its end.

Owns the choice between a command and a container, and the wait until it can be used. Invariant:
when a start fails or is cancelled, nothing of it runs any more.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Coroutine, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from config.errors import MotetError
from models.catalog.spec import ModelSpec
from models.devices import CPU, RAM
from models.devices.accelerator import Accelerator
from models.driver import Progress
from models.scheduling.requirement import MemoryRequirement
from models.servers.container import ServerContainer, prepare_engine
from models.servers.engine import INSTALL, ContainerSpec
from models.servers.gpus import GpuOptions
from models.servers.output import Output
from models.servers.process import ServerProcess
from models.servers.readiness import HOST, find_free_port, is_free, wait_ready
from models.servers.spec import LogReady, ServeSpec

UNANSWERED = frozenset({"model_connection_lost", "openai_unreachable", "response_incomplete"})
"""Codes of requests that a server left unanswered."""
END_KNOWN_S = 2.0
"""Bounds the wait for the end of a server that broke a connection: it may be alive."""


class ServerHandle(Protocol):
    """A process or a container."""

    exited: asyncio.Future[str]
    output: Output

    @property
    def ram_bytes(self) -> int: ...

    async def stop(self, grace_s: float) -> None: ...

    def explain_end(self, reason: str) -> MotetError: ...


class ManagedServer:
    """A server that is ready at `url`. `lost` completes when it ends by itself. `stop` it."""

    def __init__(
        self, running: ServerHandle, serve: ServeSpec, port: int, need: MemoryRequirement
    ) -> None:
        self.url = f"http://{HOST}:{port}{serve.path}"
        self._running = running
        self._grace_s = serve.stop_grace_s
        self._need = need
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running.exited.add_done_callback(self._ended)

    @property
    def memory(self) -> Mapping[str, int]:
        """RAM as its processes take it, accelerators as declared."""
        measured = self._running.ram_bytes
        return {**self._need.memory, RAM: measured} if measured else self._need.memory

    @property
    def alive(self) -> bool:
        return not self._running.exited.done()

    async def explain_loss(self, error: MotetError) -> MotetError:
        """Return how the server ended, where a lost connection comes of that; else `error`.

        Waits a moment for the end to be known: connections break before it is.
        """
        if error.code not in UNANSWERED:
            return error
        await asyncio.wait([self._running.exited], timeout=END_KNOWN_S)
        if not self._running.exited.done():
            return error
        return self._running.explain_end(self._running.exited.result())

    async def stop(self) -> None:
        self.lost.cancel()
        await self._running.stop(self._grace_s)

    def _ended(self, exited: asyncio.Future[str]) -> None:
        if not self.lost.done():
            self.lost.set_result(str(self._running.explain_end(exited.result())))


async def start_server(
    spec: ModelSpec,
    serve: ServeSpec,
    need: MemoryRequirement,
    progress: Progress,
    *,
    accelerators: Sequence[Accelerator] = (),
    home: str = "",
) -> ManagedServer:
    """Start it and wait until it is ready. `home` tells our containers from another Motet's.

    Raises `Unavailable` ("server_start_failed", "server_died", "container_unavailable") or
    `TimedOut`, with its last lines in the details; nothing is left running then, nor when the
    caller is cancelled.
    """
    port = find_free_port() if serve.port == "auto" else serve.port
    pattern = serve.ready.pattern if isinstance(serve.ready, LogReady) else None
    output = Output(spec.name, pattern)
    progress({"phase": "starting", "server": serve.image or (serve.command or [""])[0]})
    running: ServerHandle
    if serve.image is None:
        running = await _process(spec, serve, port, output)
    else:
        engine, gpus = await prepare_engine(accelerators if need.device != CPU else ())
        container = _container_spec(spec, serve, port, f"{home}#{spec.name}", gpus)
        running = await ServerContainer.start(spec.name, container, output, engine, progress)
    ready = wait_ready(spec.name, serve.ready, port, output, serve.start_timeout_s)
    await wait_usable(running, ready)
    return ManagedServer(running, serve, port, need)


async def _process(spec: ModelSpec, serve: ServeSpec, port: int, output: Output) -> ServerProcess:
    command = [serve.fill(word, port, spec.source) for word in serve.command or ()]
    env = serve.environment(port, spec.source, os.environ)
    return await ServerProcess.start(
        spec.name, command, output, env=env, folder=serve.folder, grace_s=serve.stop_grace_s
    )


def _container_spec(
    spec: ModelSpec, serve: ServeSpec, port: int, owner: str, gpus: GpuOptions
) -> ContainerSpec:
    inside = serve.container_port
    return ContainerSpec(
        name=f"motet-{re.sub('[^a-zA-Z0-9_.-]', '-', spec.name)}-{port}",
        owner=owner,
        image=serve.image or "",
        args=[serve.fill(word, inside, spec.source) for word in serve.args],
        ports={inside: port},
        env=serve.environment(inside, spec.source, os.environ),
        volumes=serve.volumes,
        gpus=gpus,
    )


async def wait_usable(running: ServerHandle, ready: Coroutine[Any, Any, None]) -> None:
    """Wait for `ready`, and no longer than the server runs; when that fails, it is stopped.

    Raises what `ready` raises, or the error of a server that ended.
    """
    waiting = asyncio.create_task(ready, name="server: readiness")
    try:
        both: set[asyncio.Future[Any]] = {waiting, running.exited}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        # Its end says more than what was waited for, also where something else answers there.
        if running.exited.done():
            raise running.explain_end(running.exited.result())
        waiting.result()
    except BaseException:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.shield(running.stop(0))
        raise


def why_not_startable(serve: ServeSpec) -> str | None:
    """Tell what is missing on this machine, for people. Quick: no engine is asked."""
    if serve.command and not shutil.which(serve.command[0], path=_search_path(serve)):
        return f"The program '{serve.command[0]}' of `serve.command` is not installed here."
    if serve.image and find_spec("docker") is None:
        return f"The container {serve.image} needs the Python package `docker`: {INSTALL}."
    if serve.port != "auto" and not is_free(serve.port):
        return f"Port {serve.port} of `serve.port` is in use already."
    return None


def _search_path(serve: ServeSpec) -> str | None:
    return serve.env.get("PATH")


def server_needs(spec: ModelSpec, serve: ServeSpec) -> list[MemoryRequirement]:
    """Return what is declared: `serve.memory`, or `memory_bytes` on the `device`, else in RAM."""
    if serve.memory:
        devices = [device for device in serve.memory if device != RAM]
        return [MemoryRequirement(serve.memory, devices[0] if devices else "cpu")]
    if not spec.memory_bytes:
        return [MemoryRequirement()]
    if spec.device in ("auto", "cpu", "mps"):
        return [MemoryRequirement({RAM: spec.memory_bytes})]
    device = spec.device if ":" in spec.device else f"{spec.device}:0"
    return [MemoryRequirement({device: spec.memory_bytes}, device)]
