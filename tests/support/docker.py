"""A double of the Docker engine's HTTP API, as far as one container is pulled, run and removed."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.script import Signal
from tests.support.server import ServerThread

ID = "c" * 64


@dataclass
class Container:
    name: str
    asked: dict[str, Any]
    running: bool = False
    status: int = 0
    ended: Signal = field(default_factory=Signal)


@dataclass
class Docker:
    """`started` is told what was asked for when a container starts, `ended` when it goes.

    `runtimes` and `devices`: what the engine knows of. `images`: those it has; `refuses`: the
    error of a pull. `calls`: verbs and paths in order.
    """

    started: Callable[[dict[str, Any]], None] = lambda asked: None
    ended: Callable[[], None] = lambda: None
    runtimes: tuple[str, ...] = ("runc",)
    devices: tuple[str, ...] = ()
    images: set[str] = field(default_factory=set)
    refuses: str = ""
    log: bytes = b"listening\n"
    containers: dict[str, Container] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        def at(path: str, answer: Callable[..., Any], *verbs: str) -> Route:
            return Route("/v{version}" + path, answer, methods=list(verbs or ("GET",)))

        one = "/containers/{id}"
        self._server = ServerThread(
            Starlette(
                routes=[
                    Route("/version", self._version),
                    at("/version", self._version),
                    at("/info", self._info),
                    at("/images/create", self._pull, "POST"),
                    at("/images/{name:path}/json", self._image),
                    at("/containers/json", self._list),
                    at("/containers/create", self._create, "POST"),
                    at(f"{one}/json", self._inspect),
                    at(f"{one}/start", self._start, "POST"),
                    at(f"{one}/logs", self._logs),
                    at(f"{one}/wait", self._wait, "POST"),
                    at(f"{one}/stop", self._stop, "POST"),
                    at(one, self._remove, "DELETE"),
                ]
            )
        )

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return self._server.url.replace("http://", "tcp://")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def die(self, status: int) -> None:
        """The running container ends by itself."""
        for container in self.containers.values():
            self._end(container, status)

    async def _version(self, request: Request) -> Response:
        return JSONResponse({"ApiVersion": "1.47", "MinAPIVersion": "1.24", "Version": "28.3"})

    async def _info(self, request: Request) -> Response:
        found = [{"Source": "cdi", "ID": device} for device in self.devices]
        runtimes = {name: {"path": name} for name in self.runtimes}
        return JSONResponse({"Runtimes": runtimes, "DiscoveredDevices": found})

    async def _image(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.images:
            return _missing(f"No such image: {name}")
        return JSONResponse({"Id": "sha256:1", "RepoTags": [name]})

    async def _pull(self, request: Request) -> Response:
        asked = request.query_params
        image = f"{asked['fromImage']}:{asked['tag']}"
        self.calls.append(("pull", image))
        lines: list[dict[str, Any]] = [{"status": "Pulling from it", "id": asked["tag"]}]
        for done in (10, 60, 100):
            detail = {"current": done, "total": 100}
            lines.append({"status": "Downloading", "id": "layer", "progressDetail": detail})
        if self.refuses:
            lines.append({"error": self.refuses, "errorDetail": {"message": self.refuses}})
        else:
            self.images.add(image)
        # In chunks, as the engine does: the SDK reads nothing else as a stream.
        return StreamingResponse(_chunks(lines), media_type="application/json")

    async def _list(self, request: Request) -> Response:
        wanted = json.loads(request.query_params.get("filters", "{}")).get("label", [])
        found = [
            {"Id": id, "Names": [f"/{container.name}"]}
            for id, container in self.containers.items()
            if all(label in _labels(container) for label in wanted)
        ]
        return JSONResponse(found)

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        name = request.query_params.get("name", "")
        if any(container.name == name for container in self.containers.values()):
            return JSONResponse({"message": f"Conflict. The name {name} is in use"}, 409)
        self.calls.append(("create", name))
        id = f"{len(self.calls):064x}"
        self.containers[id] = Container(name, asked)
        return JSONResponse({"Id": id, "Warnings": []}, 201)

    async def _inspect(self, request: Request) -> Response:
        if (container := self._of(request)) is None:
            return _missing("No such container")
        state = "running" if container.running else "exited"
        return JSONResponse(
            {
                "Id": request.path_params["id"],
                "Name": f"/{container.name}",
                "State": {"Status": state, "Running": container.running},
                "Config": {"Tty": False, "Labels": container.asked.get("Labels") or {}},
                "HostConfig": {"LogConfig": {"Type": "json-file"}},
                "Image": "sha256:1",
            }
        )

    async def _start(self, request: Request) -> Response:
        container = self._of(request)
        assert container
        self.calls.append(("start", container.name))
        container.running = True
        await asyncio.to_thread(self.started, container.asked)
        return Response(status_code=204)

    async def _logs(self, request: Request) -> Response:
        container = self._of(request)
        assert container
        return StreamingResponse(
            self._printed(container), media_type="application/vnd.docker.raw-stream"
        )

    async def _printed(self, container: Container) -> AsyncIterator[bytes]:
        yield struct.pack(">BxxxL", 1, len(self.log)) + self.log
        await container.ended.wait(timeout_s=None)

    async def _wait(self, request: Request) -> Response:
        container = self._of(request)
        if container is None:
            return _missing("No such container")
        await container.ended.wait(timeout_s=None)
        return JSONResponse({"StatusCode": container.status})

    async def _stop(self, request: Request) -> Response:
        if (container := self._of(request)) is None:
            return _missing("No such container")
        self.calls.append(("stop", container.name))
        await asyncio.to_thread(self._end, container, 0)
        return Response(status_code=204)

    async def _remove(self, request: Request) -> Response:
        if (container := self.containers.pop(request.path_params["id"], None)) is None:
            return _missing("No such container")
        self.calls.append(("remove", container.name))
        await asyncio.to_thread(self._end, container, 137)
        return Response(status_code=204)

    def _end(self, container: Container, status: int) -> None:
        if container.running:
            container.running, container.status = False, status
            self.ended()
            container.ended.set()

    def _of(self, request: Request) -> Container | None:
        return self.containers.get(request.path_params["id"])


async def _chunks(lines: list[dict[str, Any]]) -> AsyncIterator[str]:
    for line in lines:
        yield json.dumps(line) + "\r\n"


def _labels(container: Container) -> list[str]:
    return [f"{name}={value}" for name, value in (container.asked.get("Labels") or {}).items()]


def _missing(message: str) -> Response:
    return JSONResponse({"message": message}, 404)
