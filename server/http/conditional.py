"""HEAD, and requests that want an answer only where it has changed, for every GET route.

Owns entity tags of answers that have none of their own: those are of the bytes. Streams have none.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')
OF_BODY = ("content-length", "content-type", "content-range", "content-disposition")
"""Headers that tell of a body, which an answer without one does not have."""


class HeadRequests:
    """ASGI middleware: answers HEAD with the head of what GET answers, and ends it there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # The rest is dropped. A stream learns from `receive` that nobody reads it.
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET"}, receive, send_head)


class ConditionalRequests:
    """ASGI middleware: tags the answers to GET, and answers 304 where a client has the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            send = _ConditionalSend(Headers(scope=scope), send)
        await self._app(scope, receive, send)


class _ConditionalSend:
    """Sends an answer, or that it is not modified; holds the head until the tag is known."""

    def __init__(self, request: Headers, send: Send) -> None:
        self._request = request
        self._send = send
        self._head: Message | None = None
        self._ended = False

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start" and _is_tagged(message):
            self._head = message
            return
        if head := self._head:
            self._head = None
            headers = MutableHeaders(scope=head)
            if not message.get("more_body", False):
                headers.setdefault("ETag", tag_of(message.get("body", b"")))
            if is_unmodified(self._request, headers):
                self._ended = True
                for name in OF_BODY:
                    del headers[name]
                await self._send({**head, "status": 304})
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await self._send(head)
        await self._send(message)


def tag_of(body: bytes) -> str:
    """Make the entity tag of a whole body."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def is_unmodified(request: Headers, answer: Headers) -> bool:
    """Tell whether a client has what it would be sent: by the tag, or where it names none by date.

    The comparison is the weak one; dates and tags that cannot be read are none.
    """
    if tags := request.getlist("if-none-match"):
        sent = ",".join(tags)
        own = ENTITY_TAG.fullmatch(answer.get("etag", ""))
        return sent.strip() == "*" or (own is not None and own[1] in ENTITY_TAG.findall(sent))
    since, modified = (
        _parse_date(headers.get(name))
        for headers, name in ((request, "if-modified-since"), (answer, "last-modified"))
    )
    return since is not None and modified is not None and modified <= since


def _is_tagged(head: Message) -> bool:
    # A stream has no length, and its head may not wait for its first part.
    return head["status"] in (200, 206) and "content-length" in Headers(raw=head["headers"])


def _parse_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
