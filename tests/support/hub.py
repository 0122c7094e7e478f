"""A double of the Hugging Face Hub: one repository, served as the real client asks for it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.script import Gate
from tests.support.server import ServerThread

COMMIT = "5" * 40
LARGE = (".safetensors", ".bin", ".pth", ".gguf")


@dataclass
class Hub:
    """`files` of the repository `repository`. `gates`: a file waits there after its first half.

    `cuts`: how often its answer breaks off there. `damage`: how often a file arrives with a wrong
    byte. `sizes`: what the listing says instead of a file's size. `refuses`: a status that every
    answer has. `ranges`: what was asked for, by file.
    """

    repository: str = "maker/tiny"
    files: dict[str, bytes] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    damage: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    refuses: int | None = None
    token: str | None = None
    """What a client must show, if it must."""
    commit: str = COMMIT
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    moves: bool = False
    """Its main revision is another each time it is asked for."""

    def __post_init__(self) -> None:
        self._asked = 0
        repository = "/{repository:path}/resolve/{commit}/{path:path}"
        api = "/api/models/{repository:path}"
        routes = [
            Route(api + "/revision/{revision}", self._info),
            Route(api + "/tree/{revision}", self._tree),
            Route(api, self._info),
            Route(repository, self._file),
        ]
        self._server = ServerThread(Starlette(routes=routes))

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def _known(self, request: Request) -> bool:
        return bool(request.path_params["repository"] == self.repository)

    async def _info(self, request: Request) -> Response:
        shown = request.headers.get("authorization")
        if self.token and shown != f"Bearer {self.token}":
            return _refusal("GatedRepo", 401 if shown is None else 403)
        if self.refuses:
            return JSONResponse({"error": "no"}, self.refuses)
        if not self._known(request):
            return _refusal("RepoNotFound")
        if request.path_params.get("revision", "main") not in ("main", self.commit):
            return _refusal("RevisionNotFound")
        commit = self.commit
        if self.moves:
            self._asked += 1
            commit = self.commit if self._asked == 1 else str(self._asked) * 40
        return JSONResponse({"id": self.repository, "sha": commit, "siblings": []})

    async def _tree(self, request: Request) -> Response:
        entries = [_entry(path, data) for path, data in self.files.items()]
        for entry in entries:
            entry["size"] = self.sizes.get(entry["path"], entry["size"])
        return JSONResponse(entries)

    async def _file(self, request: Request) -> Response:
        path = request.path_params["path"]
        data = self.files[path]
        entry = _entry(path, data)
        etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
        headers = {"etag": f'"{etag}"', "x-repo-commit": self.commit, "accept-ranges": "bytes"}
        if request.method == "HEAD":
            return Response(headers={**headers, "content-length": str(len(data))})
        asked = request.headers.get("range")
        self.ranges.append((path, asked))
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if self.damage.get(path, 0) > 0:
            self.damage[path] -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        if asked:
            headers["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        headers["content-length"] = str(len(data) - start)
        self.cuts[path] = self.cuts.get(path, 0) - 1
        sent = self._sent(data[start:], self.gates.pop(path, None), self.cuts[path] >= 0)
        return StreamingResponse(sent, 206 if asked else 200, headers=headers)

    async def _sent(self, data: bytes, gate: Gate | None, cut: bool) -> AsyncIterator[bytes]:
        half = len(data) // 2
        yield data[:half]
        if gate:
            await gate.passed()
        if cut:
            raise ConnectionResetError("the double breaks off")
        yield data[half:]


def _entry(path: str, data: bytes) -> dict[str, Any]:
    git = hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": git}
    if path.endswith(LARGE):
        large = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        entry["lfs"] = large
    return entry


def _refusal(code: str, status: int = 404) -> Response:
    return JSONResponse({"error": code}, status, headers={"x-error-code": code})
