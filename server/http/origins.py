"""Keeps web pages of other sites away from the service, wherever it listens.

A browser runs pages of other sites on machines that reach the service; without keys, an address
alone does not tell them from programs. Such a page gives itself away by its `Origin`, by the
`Sec-Fetch-Site` that browsers set; or, where its own name resolves to the service (DNS rebinding),
by the `Host` that it asks for. Programs send none of the first two, and a `Host` they know.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from config.errors import Invalid
from config.origins import Origin, make_origin, parse_authority, parse_origin
from config.settings import LOOPBACK
from server.http.errors import error_response

SOCKET_NAME = "motet"
"""The host of requests over a Unix socket, which no browser can send."""
OWN_SITES = (b"", b"same-origin", b"none")
"""Of `Sec-Fetch-Site`. Another port of this machine is `same-site`, and not ours."""


class ForeignHeader(NamedTuple):
    """The header that shows that a request is not for us, or not from our own pages."""

    name: str
    value: bytes
    setting: str


class OriginGuard:
    """ASGI middleware: answers 403 to what a page of another site makes a browser send.

    Own are the names of loopback, the address that was reached, and `allowed_hosts`. A page is our
    own where scheme, host and port are those of the request, or where `allowed_origins` name it.
    """

    def __init__(
        self, app: ASGIApp, allowed_hosts: Collection[str], allowed_origins: Collection[str]
    ) -> None:
        self._app = app
        self._hosts = LOOPBACK | set(allowed_hosts)
        self._origins = {parse_origin(each) for each in allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if foreign := self._find_foreign(scope):
                await _forbidden(foreign)(scope, receive, send)
                return
            if _lacks_host(scope):
                await error_response(_no_host())(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _find_foreign(self, scope: Scope) -> ForeignHeader | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        for value in hosts:
            if not self._is_own_host(value, scope):
                return ForeignHeader("Host", value, "allowed_hosts")
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        for value in origins:
            if not self._is_own_origin(value, hosts, scope):
                return ForeignHeader("Origin", value, "allowed_origins")
        allowed = origins and all(_parse(value) in self._origins for value in origins)
        if not allowed and (site := _find_other_site(scope)):
            return ForeignHeader("Sec-Fetch-Site", site, "allowed_origins")
        return None

    def _is_own_host(self, value: bytes, scope: Scope) -> bool:
        authority = parse_authority(value.decode("latin-1"))
        if authority is None:
            return False
        address, port = scope.get("server") or (SOCKET_NAME, None)
        # A socket for both protocols tells addresses of IPv4 in the form of IPv6.
        reached = SOCKET_NAME if port is None else address.removeprefix("::ffff:")
        return authority.host in self._hosts or authority.host == reached

    def _is_own_origin(self, value: bytes, hosts: Collection[bytes], scope: Scope) -> bool:
        origin = _parse(value)
        if origin is None:
            return False
        authorities = [parse_authority(host.decode("latin-1")) for host in hosts]
        # The schemes of web sockets are those of pages with a `ws` for `http`.
        scheme = str(scope["scheme"]).replace("ws", "http")
        own = [make_origin(scheme, each) for each in authorities if each]
        return origin in own or origin in self._origins


def _lacks_host(scope: Scope) -> bool:
    """Tell whether a request leaves out the host that its version of HTTP demands."""
    is_named = any(name == b"host" for name, _ in scope["headers"])
    return scope.get("http_version") == "1.1" and not is_named


def _no_host() -> Invalid:
    return Invalid(
        "The request has no header Host.", code="malformed_body", details={"field": "Host"}
    )


def _parse(origin: bytes) -> Origin | None:
    return parse_origin(origin.decode("latin-1"))


def _find_other_site(scope: Scope) -> bytes | None:
    """Find the site that the browser says it is sent from, unless a person followed a link here."""
    headers = dict(scope["headers"])
    site: bytes = headers.get(b"sec-fetch-site", b"").strip().lower()
    followed = (
        scope.get("method") in ("GET", "HEAD")
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )
    return site if site not in OWN_SITES and not followed else None


def _forbidden(header: ForeignHeader) -> ASGIApp:
    value = header.value[:80].decode("latin-1")
    return error_response(
        Invalid(
            f"{header.name} '{value}' is not the service's own. Name it in {header.setting} "
            f"(MOTET_{header.setting.upper()}) if you trust it.",
            code="forbidden",
            details={"field": header.name},
        )
    )
