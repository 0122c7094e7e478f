"""A double of Ollama's registry: models by name and tag, served as the real one does."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.script import Gate
from tests.support.server import ServerThread

KIND = "application/vnd.ollama.image."


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Registry:
    """Blobs lie behind a redirect, as with the real one.

    `gates`: a blob waits there after its first half. `cuts`: how often its answer breaks off after
    the first half. `damage`: how often it arrives with a wrong byte. `ranges`: what was asked for.
    `refuses`: a status that every answer has.
    """

    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    damage: dict[str, int] = field(default_factory=dict)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    refuses: int | None = None

    def __post_init__(self) -> None:
        routes = [
            Route("/v2/{name:path}/manifests/{tag}", self._manifest),
            Route("/v2/{name:path}/blobs/{digest}", self._blob),
            Route("/storage/{digest}", self._stored),
        ]
        self._server = ServerThread(Starlette(routes=routes))

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def offer(self, name: str, **layers: bytes) -> dict[str, Any]:
        """Publish a model, `owner/name:tag`, with layers by their kind; its manifest."""
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json"},
            "layers": [
                {"mediaType": f"{KIND}{kind}", "digest": digest_of(data), "size": len(data)}
                for kind, data in layers.items()
            ],
        }
        self.manifests[name] = manifest
        self.blobs |= {digest_of(data): data for data in layers.values()}
        return manifest

    async def _manifest(self, request: Request) -> Response:
        if self.refuses:
            return JSONResponse({"errors": [{"code": "DENIED"}]}, self.refuses)
        name = f"{request.path_params['name']}:{request.path_params['tag']}"
        if name not in self.manifests:
            return JSONResponse({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, 404)
        return JSONResponse(self.manifests[name])

    async def _blob(self, request: Request) -> Response:
        return RedirectResponse(f"/storage/{request.path_params['digest']}", 307)

    async def _stored(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        if digest not in self.blobs:
            return JSONResponse({"errors": [{"code": "BLOB_UNKNOWN"}]}, 404)
        data, wanted = self.blobs[digest], request.headers.get("range")
        self.ranges.append((digest, wanted))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(data) > 0:
            return Response(status_code=416)
        if self._counts(self.damage, digest):
            data = data[:-1] + bytes([data[-1] ^ 1])
        headers = {"content-length": str(len(data) - start)}
        if wanted:
            headers["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        cut = self._counts(self.cuts, digest)
        sent = self._sent(data[start:], self.gates.pop(digest, None), cut)
        return StreamingResponse(sent, 206 if wanted else 200, headers=headers)

    def _counts(self, left: dict[str, int], digest: str) -> bool:
        left[digest] = left.get(digest, 0) - 1
        return left[digest] >= 0

    async def _sent(self, data: bytes, gate: Gate | None, cut: bool) -> AsyncIterator[bytes]:
        half = len(data) // 2
        yield data[:half]
        if gate:
            await gate.passed()
        if cut:
            raise ConnectionResetError("the double breaks off")
        yield data[half:]
