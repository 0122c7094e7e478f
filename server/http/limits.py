"""Bounds request bodies in size and time before anything reads them; inflates those in gzip.

Invariant: no part of the service sees more bytes of a body than its bound, declared or not,
compressed or not.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import Invalid, TimedOut
from server.http.content_coding import CODINGS, GzipReceive
from server.http.errors import error_response

CODING, TRANSFER = b"content-encoding", b"transfer-encoding"
PLAIN = (b"", b"identity", b"chunked")
"""Codings that a body is none the different for; the HTTP server puts chunks together."""
EXPECT, CONTINUE = b"expect", b"100-continue"


class BodyLimit:
    """ASGI middleware: answers 413 to a body over the bound. Uploads (multipart) have their own.

    A body that stops coming for `pause_s` is answered 408.
    """

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, max_upload_bytes: int, pause_s: float = 60.0
    ) -> None:
        self._app = app
        self._pause_s = pause_s
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "DELETE"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if headers.get(EXPECT, CONTINUE).strip().lower() != CONTINUE:
            await error_response(_unexpected(headers[EXPECT]))(scope, receive, send)
            return
        upload = headers.get(b"content-type", b"").startswith(b"multipart/")
        bound = self._max_upload_bytes if upload else self._max_body_bytes
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > bound:
            await error_response(_too_large(bound))(scope, receive, send)
            return
        # The HTTP server holds a body to the length that it declares; a chunked one is counted.
        timed = _TimedReceive(receive, self._pause_s)
        bounded = timed if declared.isdigit() else _CountingReceive(timed, bound)
        codings = _codings(scope)
        if len(codings) == 1 and codings[0] in CODINGS:
            bounded = _CountingReceive(GzipReceive(bounded), bound)
            scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != CODING]}
        elif codings:
            await _unsupported(b", ".join(codings))(scope, receive, send)
            return
        await self._app(scope, bounded, send)


def _codings(scope: Scope) -> list[bytes]:
    """List what was done to a body, in this order, whichever header tells it."""
    values = [value for name, value in scope["headers"] if name in (CODING, TRANSFER)]
    return [each for each in map(_word, b",".join(values).split(b",")) if each not in PLAIN]


def _word(part: bytes) -> bytes:
    return part.strip().lower()


class _TimedReceive:
    """Receives a body, and waits for no part longer than `pause_s`. Raises `TimedOut`."""

    def __init__(self, receive: Receive, pause_s: float) -> None:
        self._receive = receive
        self._pause_s = pause_s
        self._is_whole = False

    async def __call__(self) -> Message:
        # Behind the body, who receives waits for the client to leave.
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._pause_s):
                message = await self._receive()
        except TimeoutError as error:
            raise TimedOut(
                f"Nothing more of the body came for {self._pause_s:g} seconds.",
                code="body_timed_out",
                details={"field": "body"},
            ) from error
        self._is_whole = not message.get("more_body", False)
        return message


class _CountingReceive:
    """Receives a body of unknown length. Raises `Invalid` (`too_large`) behind the bound."""

    def __init__(self, receive: Receive, bound_bytes: int) -> None:
        self._receive = receive
        self._bound_bytes = bound_bytes
        self._received_bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._bound_bytes:
            raise _too_large(self._bound_bytes)
        return message


def _too_large(bound_bytes: int) -> Invalid:
    return Invalid(
        f"The body is larger than {bound_bytes} bytes.",
        code="too_large",
        details={"field": "body"},
    )


def _unexpected(value: bytes) -> Invalid:
    return Invalid(
        f"Expect '{value[:40].decode('latin-1')}' cannot be met; 100-continue can.",
        code="expectation_failed",
        details={"field": "Expect"},
    )


def _unsupported(coding: bytes) -> Response:
    error = Invalid(
        f"The body's coding '{coding[:40].decode('latin-1')}' is not one of: gzip, identity.",
        code="unsupported_media_type",
        details={"field": "Content-Encoding"},
    )
    response = error_response(error)
    response.headers["Accept-Encoding"] = "gzip, identity"
    return response
