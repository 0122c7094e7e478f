"""Keeps web pages away from a service that only this machine is meant to reach."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from config.errors import Invalid
from config.settings import LOOPBACK
from server.http.errors import error_response

OWN_NAMES = LOOPBACK | {"motet"}
"""Names under which a client of this machine finds us; `motet` stands for a Unix socket."""


class LocalOnly:
    """ASGI middleware: 403 for requests that a page of another site makes a browser send.

    Such a page gives itself away by its `Origin`; or, where it had its own name resolve to this
    machine (DNS rebinding), by the `Host` it asks for. Programs send no `Origin`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if (name == b"host" and not _own(b"//" + value)) or (
                    name == b"origin" and not _own(value)
                ):
                    await _refusal(name.decode().title(), value)(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _own(place: bytes) -> bool:
    try:
        return urlsplit(place.decode("ascii")).hostname in OWN_NAMES
    except ValueError:
        return False


def _refusal(header: str, value: bytes) -> ASGIApp:
    return error_response(
        Invalid(
            f"{header} '{value[:80].decode(errors='replace')}' is not this machine. The service "
            "listens to local clients only; set trust_network where something else guards it.",
            code="forbidden",
            details={"field": header},
        )
    )
