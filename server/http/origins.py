"""Keeps web pages away from a service that only this machine is meant to reach.

A browser runs pages of other sites on this machine; without keys, loopback alone does not tell
them from programs of its user.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from config.errors import Invalid
from config.settings import LOOPBACK
from server.http.errors import error_response

OWN_NAMES = LOOPBACK | {"motet"}
"""Names under which a client of this machine finds us; `motet` stands for a Unix socket."""


class LocalOnly:
    """ASGI middleware: answers 403 to what a page of another site makes a browser send.

    Such a page gives itself away by its `Origin`; or, where its own name resolves to this machine
    (DNS rebinding), by the `Host` that it asks for. Programs send no `Origin`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if (name == b"host" and not _is_local(b"//" + value)) or (
                    name == b"origin" and not _is_local(value)
                ):
                    await _forbidden(name.decode().title(), value)(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _is_local(url: bytes) -> bool:
    try:
        return urlsplit(url.decode("ascii")).hostname in OWN_NAMES
    except ValueError:
        return False


def _forbidden(header: str, value: bytes) -> ASGIApp:
    return error_response(
        Invalid(
            f"{header} '{value[:80].decode(errors='replace')}' is not this machine. The service "
            "listens to local clients only; set trust_network where something else guards it.",
            code="forbidden",
            details={"field": header},
        )
    )
