"""Bounds the size of request bodies before anything reads them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import Invalid
from server.http.errors import error_response


class BodyLimit:
    """ASGI middleware: 413 for a body over the bound, declared or not.

    Uploads (multipart) have a bound of their own.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "DELETE"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        upload = headers.get(b"content-type", b"").startswith(b"multipart/")
        bound = self._max_upload_bytes if upload else self._max_body_bytes
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > bound:
            await _too_large(bound)(scope, receive, send)
            return
        if declared.isdigit():  # the HTTP server holds a body to what it declares
            await self._app(scope, receive, send)
            return
        await self._app(scope, _counted(receive, bound), send)


def _counted(receive: Receive, bound: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > bound:
            raise _error(bound)
        return message

    return counted


def _error(bound: int) -> Invalid:
    return Invalid(
        f"The body is larger than {bound} bytes.", code="too_large", details={"field": "body"}
    )


def _too_large(bound: int) -> ASGIApp:
    return error_response(_error(bound))
