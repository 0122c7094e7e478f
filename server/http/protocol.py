"""What the HTTP server answers before the application sees a request: in the same envelope.

Owns the bounds of a request's head in size and time, which uvicorn does not have, and the end of
connections to clients that are dead or take nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from config.errors import Invalid, MotetError
from server.http.errors import error_response
from server.http.security_headers import add_security_headers
from server.http.sse import ABORT

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and the headers together; browsers and proxies send less."""

HEAD_TIMEOUT_S = 60
"""A client that has not sent a whole head by then gives up its connection."""
STUCK_CLIENT_S = 120
"""A client that takes nothing of what it was sent for so long counts as dead."""
USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
"""Linux alone ends a connection by such a time; elsewhere the system's own, longer times hold."""
UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a bound for heads, and without its answers in plain text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._under_way: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, and let the kernel end the connection to a dead client."""
        super().connection_made(transport)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection and connection.family != socket.AF_UNIX and USER_TIMEOUT is not None:
            connection.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, STUCK_CLIENT_S * 1000)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more, and tell the request under way, which uvicorn forgets.

        uvicorn tells the newest request alone, which is a later one where clients send several.
        """
        self._stop_timer()
        self.pipeline.clear()
        if self._under_way is not None:
            self._under_way.disconnected = True
            self._under_way.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and refuse a head that is too large without waiting for its end.

        The bound holds for a head that comes in several packets; one packet is bounded as it is.
        """
        super().data_received(_ignore_upgrade(data) if self._reading_head else data)
        if self._reading_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large(), 431)
            elif self._head_timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._reading_head = True
        self._head_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        """Hand the request to the application; it bounds the body."""
        self._reading_head = False
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        error = Invalid(
            "The request is not valid HTTP.", code="malformed_body", details={"field": "request"}
        )
        self._refuse(error, 400)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, error: MotetError, status: int) -> None:
        # A response under way cannot be followed by another one: the client sees it cut off.
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            response = error_response(error, status)
            headers = add_security_headers([*response.raw_headers, (b"connection", b"close")])
            lines = [b"%s: %s\r\n" % header for header in headers]
            body = bytes(response.body)
            self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Go on in silence: what follows a header that was cut in two is not read."""


def _ignore_upgrade(data: bytes) -> bytes:
    """Rename the header by which a client offers another protocol.

    httptools skips the body of a request with it, which clients in Java send with every first one.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(b"\r\nX-Ignored:", head) + end + rest if UPGRADE.search(head) else data


def _head_too_large() -> Invalid:
    return Invalid(
        f"The request line and the headers are larger than {MAX_HEAD_BYTES} bytes.",
        code="too_large",
        details={"field": "headers"},
    )
