"""The container engine of this machine (Docker, or Podman behind Docker's API).

Its library blocks, so each call runs in a thread; it is imported when first used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from config.errors import Unavailable
from models.driver import Progress
from models.servers.gpus import ROCM_DEVICES, GpuOptions

T = TypeVar("T")

LABEL = "org.motet.server"
"""The label of our containers; its value is the owner."""
CALL_S = 60
"""Bounds each request to the engine, but for a pull and for output, which stream."""
INSTALL = "pip install 'motet[containers]'"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to be started. `owner` labels it, so that it is found again and no other is.

    `ports`: of the container to ports of this machine's loopback. `volumes`: a named volume or a
    folder, to where it is mounted.
    """

    name: str
    owner: str
    image: str
    args: Sequence[str] = ()
    ports: Mapping[int, int] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    health: Sequence[str] = ()
    gpus: GpuOptions = field(default_factory=lambda: GpuOptions("cpu"))


class Engine:
    """Get one from `open`; `close` it."""

    def __init__(self, docker: Any, client: Any) -> None:
        self._docker = docker
        self._client = client

    @classmethod
    async def open(cls) -> Engine:
        """Open a client of the engine. Raises `Unavailable` (`container_unavailable`)."""
        try:
            docker = await asyncio.to_thread(import_module, "docker")
        except ImportError as error:
            raise _unavailable(f"the Python package `docker` is missing: {INSTALL}") from error
        try:
            client = await asyncio.to_thread(docker.from_env, timeout=CALL_S)
        except Exception as error:  # docker's own, requests' and urllib3's
            raise _unavailable(
                f"no container engine answers ({_short(error)}). Start Docker, or set DOCKER_HOST"
            ) from error
        return cls(docker, client)

    async def info(self) -> Mapping[str, Any]:
        """Ask what the engine says of itself: its runtimes, the devices it found."""
        return await self._call(self._client.info)

    async def has_image(self, image: str) -> bool:
        return await self._call(self._has_image, image)

    async def pull(self, image: str, progress: Progress) -> None:
        """Get the image; `progress` is told of bytes, from the event loop."""
        loop = asyncio.get_running_loop()
        await self._call(
            self._pull,
            image,
            lambda progress_line: loop.call_soon_threadsafe(progress, dict(progress_line)),
        )

    async def find(self, owner: str) -> Any | None:
        """Our container of that owner, running or not."""
        containers = await self._call(
            self._client.containers.list, all=True, filters={"label": f"{LABEL}={owner}"}
        )
        return containers[0] if containers else None

    async def run(self, spec: ContainerSpec) -> Any:
        """Start a container; it is removed when it is stopped."""
        return await self._call(self._run, spec)

    async def remove(self, container: Any, grace_s: float) -> None:
        """Stop it, with a time to end by itself, and remove it; one that is gone is fine."""
        for call in (
            lambda: container.stop(timeout=max(int(grace_s), 0)),
            lambda: container.remove(force=True),
        ):
            try:
                await asyncio.to_thread(call)
            except self._docker.errors.NotFound:
                return
            except Exception:  # on its way out already
                continue

    def lines(self, container: Any) -> Iterator[bytes]:
        """Yield what it prints, until it ends. Blocks: for a thread of its own."""
        rest = b""
        for data in container.logs(stream=True, follow=True):
            *whole, rest = (rest + data).split(b"\n")
            yield from whole
        if rest:
            yield rest

    async def close(self) -> None:
        await asyncio.to_thread(self._client.close)

    async def _call(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        try:
            return await asyncio.to_thread(call, *args, **named)
        except Exception as error:
            raise _unavailable(_short(error)) from error

    def _has_image(self, image: str) -> bool:
        try:
            self._client.images.get(image)
        except self._docker.errors.ImageNotFound:
            return False
        return True

    def _pull(self, image: str, report: Callable[[Mapping[str, Any]], None]) -> None:
        layers: dict[str, tuple[int, int]] = {}
        repository, _, tag = image.rpartition(":") if ":" in image else (image, "", "latest")
        for progress_line in self._client.api.pull(repository, tag=tag, stream=True, decode=True):
            if message := progress_line.get("error"):
                raise RuntimeError(message)
            detail = progress_line.get("progressDetail") or {}
            if progress_line.get("status") == "Downloading" and detail.get("total"):
                layers[progress_line.get("id", "")] = detail.get("current", 0), detail["total"]
            completed = sum(done for done, _ in layers.values())
            total = sum(whole for _, whole in layers.values())
            report({"phase": "pulling", "image": image, "completed": completed, "total": total})

    def _run(self, spec: ContainerSpec) -> Any:
        requests = [self._docker.types.DeviceRequest(**one) for one in spec.gpus.device_requests]
        health = {"test": list(spec.health), "interval": 10 * 10**9, "timeout": 5 * 10**9}
        return self._client.containers.run(
            spec.image,
            list(spec.args) or None,
            name=spec.name,
            detach=True,
            labels={LABEL: spec.owner},
            # Loopback alone: what guards Motet's own port does not guard this one.
            ports={f"{inside}/tcp": (HOST, outside) for inside, outside in spec.ports.items()},
            environment=dict(spec.env),
            volumes={
                source: {"bind": target, "mode": "rw"} for source, target in spec.volumes.items()
            },
            device_requests=requests or None,
            devices=[f"{device}:{device}:rwm" for device in spec.gpus.devices] or None,
            group_add=list(spec.gpus.groups) or None,
            healthcheck=health if spec.health else None,
        )


def device_files() -> list[str]:
    """List those device files that a container may need and this machine has."""
    return [device for device in ROCM_DEVICES if os.path.exists(device)]


def _unavailable(why: str) -> Unavailable:
    return Unavailable(f"No container can be had: {why}.", code="container_unavailable")


def _short(error: Exception) -> str:
    text = str(getattr(error, "explanation", "") or error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
