"""An HTTP answer that stops being made when its client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tests.support.generation import Failed
from tests.support.script import Signal

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"

Answer = Callable[[Request], Awaitable[Response]]


def answer_json(body: Any, status: int = 200, media_type: str = JSON, **headers: str) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        status,
        headers={**headers, "content-type": media_type},
    )


class Streamed(Response):
    """Sends pieces as they come. `first` was awaited before, so that a failure has a status."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], media_type: str) -> None:
        super().__init__(headers={"content-type": media_type})
        del self.headers["content-length"]
        self._first, self._rest = first, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async with aclosing(self._rest):  # type: ignore[type-var]
            async for piece in self._rest:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def streamed(
    pieces: AsyncIterator[bytes], media_type: str, *, after: Callable[[str], bytes]
) -> Response:
    """Waits for the first piece: its failure has a status. A later one becomes a line, `after`."""

    async def rest() -> AsyncIterator[bytes]:
        try:
            async for piece in pieces:
                yield piece
        except Failed as error:
            yield after(error.failure.error)

    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        first = b""
    return Streamed(first, rest(), media_type)


class Endpoint:
    """An ASGI app of one route and one verb: cancels the answer when the client disconnects."""

    def __init__(self, verb: str, answer: Answer) -> None:
        self._verb, self._answer = verb, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self._verb, "HEAD" if self._verb == "GET" else self._verb):
            refusal = PlainTextResponse("405 method not allowed", 405, {"allow": self._verb})
            refusal.headers["content-type"] = "text/plain"
            await refusal(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.left = client_left = Signal()
        await request.body()
        work = asyncio.create_task(self._work(request, send))
        left = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, left):
                task.cancel()
            await asyncio.gather(work, left, return_exceptions=True)
        if work.cancelled():
            client_left.set()
        else:
            work.result()

    async def _work(self, request: Request, send: Send) -> None:
        response = await self._answer(request)
        await response(request.scope, request.receive, send)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
