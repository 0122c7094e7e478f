"""A double of a server that draws, speaks and listens by OpenAI's protocol."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.backends.common.wav import read_wav, wav_file
from tests.support.server import ServerThread

RATE = 24_000


def png(width: int, height: int) -> bytes:
    """A black picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = zlib.compress(b"\0" * ((width + 1) * height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@dataclass
class OpenAIDouble:
    """One model, `maker`. `failure`: a status and a message that every request is refused with.

    `segments`: what was heard. `picture`: what it draws, else a black one of the size asked for.
    """

    failure: tuple[int, str] | None = None
    segments: list[tuple[float, float, str]] = field(default_factory=list)
    picture: bytes | None = None
    tells_times: bool = True
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/images/generations", self._draw, methods=["POST"]),
            Route("/v1/images/edits", self._draw, methods=["POST"]),
            Route("/v1/audio/speech", self._speak, methods=["POST"]),
            Route("/v1/audio/transcriptions", self._listen, methods=["POST"]),
            Route("/v1/audio/translations", self._listen, methods=["POST"]),
        ]
        self._server = ServerThread(Starlette(routes=routes))

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "maker", "object": "model"}]})

    async def _note(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any]
        if request.headers["content-type"].startswith("multipart/"):
            async with request.form() as form:
                body = {
                    name: await value.read() if isinstance(value, UploadFile) else value
                    for name, value in form.items()
                }
        else:
            body = await request.json()
        self.asked.append((request.url.path, body))
        return body

    def _refusal(self) -> Response | None:
        if self.failure is None:
            return None
        status, message = self.failure
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        return JSONResponse({"error": error}, status)

    async def _draw(self, request: Request) -> Response:
        body = await self._note(request)
        if refusal := self._refusal():
            return refusal
        width, height = (int(number) for number in body["size"].split("x"))
        data = b64encode(self.picture or png(width, height)).decode()
        made = [{"b64_json": data} for _ in range(int(body["n"]))]
        return JSONResponse({"created": 1, "data": made})

    async def _speak(self, request: Request) -> Response:
        body = await self._note(request)
        if refusal := self._refusal():
            return refusal
        samples = b"\1\0" * int(100 * len(body["input"]) / body["speed"])
        wav = body["response_format"] == "wav"
        return Response(wav_file(samples, RATE) if wav else samples, media_type="audio/wav")

    async def _listen(self, request: Request) -> Response:
        body = await self._note(request)
        if body.get("language") == "xx":
            self.failure = 400, "language 'xx' is not supported"
        if refusal := self._refusal():
            return refusal
        heard = read_wav(body["file"])
        if heard is None or not any(heard.samples):
            return JSONResponse({"text": "", "segments": []})
        text = " ".join(said for _, _, said in self.segments)
        if not self.tells_times:
            return JSONResponse({"text": text})
        segments = [
            {"id": number, "start": start, "end": end, "text": f" {said}"}
            for number, (start, end, said) in enumerate(self.segments)
        ]
        whole = {"task": "transcribe", "language": "english", "duration": 3.0}
        return JSONResponse({**whole, "text": text, "segments": segments})
