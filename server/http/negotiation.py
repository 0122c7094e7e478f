"""Which answers a client takes: one as JSON or events, and whether the one that it would get."""

from __future__ import annotations

import re
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import Invalid
from server.http.errors import error_response

JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream"


MEDIA_RANGE = re.compile(r"[\w*.+-]+/[\w*.+-]+")

EITHER = (JSON_TYPE, SSE_TYPE)
WITH_BODY = ("POST", "PUT", "PATCH")


class Preference(NamedTuple):
    """How much a client likes a media type: its weight, then how exactly it names the type."""

    weight: float
    exactness: int


LEFT_OUT = Preference(0, 0)
LEAST_WEIGHT = 0.001
NAMED = 3
"""The exactness of a whole name."""


def preference(accept: str, media_type: str) -> Preference:
    """Read from `Accept` how much a client likes a media type; of its ranges the most exact counts.

    A weight that cannot be read counts as 1, as if it were left out.
    """
    ranges = ["*/*", f"{media_type.partition('/')[0]}/*", media_type]
    best = LEFT_OUT
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        if name in ranges and (exactness := ranges.index(name) + 1) >= best.exactness:
            best = Preference(_weight(parameters), exactness)
    return best


def prefers_json(accept: str) -> bool:
    """Tell whether a client wants one answer as JSON where events are the rule."""
    json, events = preference(accept, JSON_TYPE), preference(accept, SSE_TYPE)
    if _is_refused(events):
        return not _is_refused(json)
    return json.weight > 0 and json > events


def prefers_events(accept: str) -> bool:
    """Tell whether a client wants events where one answer as JSON is the rule: it names them."""
    json, events = preference(accept, JSON_TYPE), preference(accept, SSE_TYPE)
    if _is_refused(json):
        return not _is_refused(events)
    return events.exactness == NAMED and events.weight >= max(json.weight, LEAST_WEIGHT)


def _is_refused(named: Preference) -> bool:
    """Tell whether a type is refused by its name, and not only left out."""
    return named == Preference(0, NAMED)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 1
            return weight if 0 <= weight <= 1 else 1
    return 1


class Negotiation:
    """ASGI middleware: answers 406 to a client that does not take what it would get.

    A GET is judged by its answer; what has a body before anything is done, for it is answered with
    JSON or events. A client that names no media type takes any, and refusals are always JSON.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        accept = ",".join(headers.getlist("accept"))
        method = scope.get("method") if MEDIA_RANGE.search(accept) else None
        if method == "GET":
            send = _AcceptableSend(accept, scope, receive, send)
        elif method in WITH_BODY and not any(preference(accept, each).weight for each in EITHER):
            await _not_acceptable(JSON_TYPE)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class _AcceptableSend:
    """Sends an answer of a type that a client takes, or else that there is none."""

    def __init__(self, accept: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._accept = accept
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_refused = False

    async def __call__(self, message: Message) -> None:
        # The rest is dropped. A stream learns from `receive` that nobody reads it.
        if self._is_refused:
            return
        if message["type"] == "http.response.start" and message["status"] < 300:
            named = Headers(raw=message["headers"]).get("content-type", "")
            media_type = named.partition(";")[0].strip().lower()
            if media_type and not preference(self._accept, media_type).weight:
                self._is_refused = True
                await _not_acceptable(media_type)(self._scope, self._receive, self._send)
                return
        await self._send(message)


def _not_acceptable(media_type: str) -> Response:
    return error_response(
        Invalid(
            f"The answer is {media_type}, which Accept leaves out.",
            code="not_acceptable",
            details={"field": "Accept"},
        )
    )
