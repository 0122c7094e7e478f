"""HEAD, and requests with a condition: a GET where something changed, a write where nothing did.

Owns entity tags of answers that have none of their own: those are of the bytes. Streams have none.
A write with a condition is judged by what GET answers at its path; writes with conditions to one
path follow each other, so that of two clients who saw the same one succeeds.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from weakref import WeakValueDictionary

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import Invalid
from server.http.errors import error_response

WRITES = ("PUT", "PATCH", "DELETE")
CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
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
    """ASGI middleware: tags the answers to GET, and answers 304 where a client has the same.

    Where what is there is not what a client says it saw, the answer is 412.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if method == "GET":
            await self._app(scope, receive, _ConditionalSend(headers, scope, send))
        elif method in WRITES and any(each in headers for each in CONDITIONS):
            await self._write(headers, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _write(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._locks.setdefault(scope["path"], asyncio.Lock()):
            present = await self._fetch_head(scope)
            condition = find_broken(headers, present)
            if not condition and present and _names(headers.getlist("if-none-match"), present):
                condition = "If-None-Match"
            if condition:
                await error_response(_broken(condition))(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _fetch_head(self, scope: Scope) -> Headers | None:
        """Fetch the headers of what is at a path now; None where there is nothing."""
        passed_on = [each for each in scope["headers"] if each[0] in (b"host", b"authorization")]
        head = _Head()
        get = {**scope, "method": "GET", "headers": passed_on}
        await self._app(get, _receive_nothing, _ConditionalSend(Headers(), get, head))
        return head.headers


class _Head:
    """Takes an answer, and keeps its headers if it is a success."""

    headers: Headers | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            self.headers = Headers(raw=message["headers"])


async def _receive_nothing() -> Message:
    """Wait like a client that sends no body and stays; routes of GET read none."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody ends the wait")


class _ConditionalSend:
    """Sends an answer, or that it is not modified; holds the head until the tag is known."""

    def __init__(self, request: Headers, scope: Scope, send: Send) -> None:
        self._request = request
        self._scope = scope
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
            if condition := find_broken(self._request, headers):
                self._ended = True
                await error_response(_broken(condition))(self._scope, _receive_nothing, self._send)
                return
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
        return _names(tags, answer)
    since, modified = _parse_dates(request.get("if-modified-since"), answer)
    return since is not None and modified is not None and modified <= since


def find_broken(request: Headers, answer: Headers | None) -> str | None:
    """Find the condition that forbids to go on: what is there, or None, is not what a client saw.

    Dates that cannot be read are none.
    """
    if tags := request.getlist("if-match"):
        is_same = answer is not None and _names(tags, answer, is_strong=True)
        return None if is_same else "If-Match"
    since, modified = _parse_dates(request.get("if-unmodified-since"), answer or Headers())
    is_changed = since is not None and modified is not None and modified > since
    return "If-Unmodified-Since" if is_changed else None


def _names(tags: list[str], answer: Headers, *, is_strong: bool = False) -> bool:
    """Tell whether a client's tags name an answer. A weak tag names nothing in a strong sense."""
    sent = ",".join(tags)
    tag = answer.get("etag", "")
    own = ENTITY_TAG.fullmatch(tag)
    if sent.strip() == "*" or own is None:
        return sent.strip() == "*"
    named = [
        match[1] for match in ENTITY_TAG.finditer(sent) if not (is_strong and match[0][0] == "W")
    ]
    return own[1] in named and not (is_strong and tag.startswith("W/"))


def _broken(condition: str) -> Invalid:
    return Invalid(
        f"What is there now is not what {condition} says: it was changed, made or deleted since. "
        "Fetch it again.",
        code="precondition_failed",
        details={"field": condition},
    )


def _is_tagged(head: Message) -> bool:
    # A stream has no length, and its head may not wait for its first part.
    return head["status"] in (200, 206) and "content-length" in Headers(raw=head["headers"])


def _parse_dates(since: str | None, answer: Headers) -> tuple[datetime | None, datetime | None]:
    return _parse_date(since), _parse_date(answer.get("last-modified"))


def _parse_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
