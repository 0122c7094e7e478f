"""Transports of HTTP clients, for servers that close kept connections.

A server may close an idle connection while the next request is on its way; llama.cpp does so right
after a stream. Owns the second try of such a request, and the TLS and the proxy of a server's
address; time limits are those of the client. httpx and httpx2 have transports of one kind, so
either module can be the `library`.

Invariant: a request is sent once more only if its connection was a kept one and ended before the
head of the answer came, or a new one that ended before any of the request was sent; and then on a
connection of its own.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from config.lost_connections import translate_lost
from models.backends.common.network import IDLE_CONNECTIONS, is_local

log = logging.getLogger(__name__)

OPENING = ("connect_tcp.started", "connect_unix_socket.started")
"""How the names of those trace events end that tell of a new connection."""
OPENED = tuple(event.replace("started", "complete") for event in OPENING)
SENDING = "send_request_headers.started"


class TransportFactory:
    """Makes the transports for one server. Constructing it blocks, for the authorities of TLS."""

    def __init__(self, library: Any, url: str, socket: str | None = None) -> None:
        """Connect to a UNIX `socket` where one is named, whatever host the URL has."""
        # A proxy of the environment is for other machines, and so are authorities.
        proxy = None if is_local(url) else find_proxy(url)
        trusted = url.startswith("https:") or not is_local(url)
        tls = library.create_ssl_context() if trusted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._library = library
        self._options: dict[str, Any] = {"verify": tls, "proxy": proxy, "uds": socket}

    def make(self, kind: Literal["AsyncHTTPTransport", "HTTPTransport"]) -> Any:
        """Make the transport of an `AsyncClient` or a `Client`, which closes it."""
        # How many may ask at once is decided by whoever leases the model.
        pooled, fresh = (
            getattr(self._library, kind)(
                limits=self._library.Limits(max_connections=None, max_keepalive_connections=idle),
                **self._options,
            )
            for idle in (IDLE_CONNECTIONS, 0)
        )
        return RepeatingTransport(self._library, pooled, fresh)


def find_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class RepeatingTransport:
    """Sends on a kept connection, and where that was stale once more on a new one.

    It is of the kind of the two it is made of: asynchronous, or blocking.
    """

    def __init__(self, library: Any, pooled: Any, fresh: Any) -> None:
        """Send by `pooled`, and again by `fresh`, which keeps no connection."""
        self._library = library
        self._broken = library.NetworkError, library.RemoteProtocolError
        self._used_up = library.StreamConsumed
        self._pooled = pooled
        self._fresh = fresh

    async def handle_async_request(self, request: Any) -> Any:
        trace = _ConnectionTrace()
        request.extensions = {**request.extensions, "trace": trace.note_async}
        try:
            with translate_lost(self._library):
                return await self._pooled.handle_async_request(request)
        except self._broken as error:
            if not trace.permits_another:
                raise
            stale = error
        log.debug("%s %s is sent again: %r", request.method, request.url, stale)
        try:
            with translate_lost(self._library):
                return await self._fresh.handle_async_request(request)
        except self._used_up:
            raise stale from None  # the body came from an iterator

    def handle_request(self, request: Any) -> Any:
        trace = _ConnectionTrace()
        request.extensions = {**request.extensions, "trace": trace.note}
        try:
            with translate_lost(self._library):
                return self._pooled.handle_request(request)
        except self._broken as error:
            if not trace.permits_another:
                raise
            stale = error
        log.debug("%s %s is sent again: %r", request.method, request.url, stale)
        try:
            with translate_lost(self._library):
                return self._fresh.handle_request(request)
        except self._used_up:
            raise stale from None

    async def aclose(self) -> None:
        await self._pooled.aclose()
        await self._fresh.aclose()

    def close(self) -> None:
        self._pooled.close()
        self._fresh.close()

    async def __aenter__(self) -> RepeatingTransport:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __enter__(self) -> RepeatingTransport:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _ConnectionTrace:
    """Notes how far a request came on its connection."""

    def __init__(self) -> None:
        self._opens = self._is_open = self._is_sending = False

    @property
    def permits_another(self) -> bool:
        """Whether a request that failed may be sent again: a refused connection is an answer."""
        return not self._opens or (self._is_open and not self._is_sending)

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        self._opens = self._opens or event.endswith(OPENING)
        self._is_open = self._is_open or event.endswith(OPENED)
        self._is_sending = self._is_sending or event.endswith(SENDING)

    async def note_async(self, event: str, info: Mapping[str, Any]) -> None:
        self.note(event, info)
