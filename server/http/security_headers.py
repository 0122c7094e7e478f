"""Headers that tell browsers to run, frame, sniff and keep nothing of what the service answers.

Invariant: every answer has them, whoever gives it: a route, a middleware, the framework, or the
HTTP server itself. An answer that needs a policy of its own brings it, and that one is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of data: no page is meant to come of it."""
FILE_POLICY = f"{NOTHING}; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""Of files that people or agents brought: a picture or a film may show itself, and no more."""
PICTURE_POLICY = f"{NOTHING}; style-src 'unsafe-inline'; sandbox"
"""Of pictures that the service draws: a label of theirs may be anyone's text."""

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": NOTHING,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
RAW_HEADERS = [(k.lower().encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]


class SecurityHeaders:
    """ASGI middleware: adds the security headers that an answer does not have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": add_security_headers(message.get("headers", ()))}
            await send(message)

        await self._app(scope, receive, send_secured)


def add_security_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Add to the headers of an answer the security headers that it does not have."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    return own + [header for header in RAW_HEADERS if header[0] not in names]
