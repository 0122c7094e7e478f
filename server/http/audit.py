"""The audit trail: who changed or was refused what, in a log of its own name, `audit`.

Every request that is not for reading is a change, unless it is ordinary work: a new route is in the
trail without a word. Lines are JSON, so that no path or header can write a line of its own.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runs.events import dumps
from server.http.access import identify_caller

audit = logging.getLogger("audit")

READING = ("GET", "HEAD", "OPTIONS")
REFUSED = (401, 403)
ORDINARY_WORK = re.compile(
    r"POST (/agents/[^/]+/run|/runs/[^/]+/resume|(/indexes/[^/]+)?/search|/artifacts"
    r"|/threads(/.*)?|/indexes/[^/]+/(documents|eval))"
)
"""What clients do all the time, and what runs and indexes keep a record of."""
MAX_CHARS = 200


class AuditTrail:
    """ASGI middleware: writes a line for each change, with its status, and for each refusal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            if status in REFUSED:
                audit.warning("%s", dumps(await _describe("refused", scope, status)).decode())
            elif _is_change(scope):
                audit.info("%s", dumps(await _describe("changed", scope, status)).decode())


def _is_change(scope: Scope) -> bool:
    path = scope["path"].rstrip("/")
    return scope["method"] not in READING and not ORDINARY_WORK.fullmatch(
        f"{scope['method']} {path}"
    )


async def _describe(event: str, scope: Scope, status: int) -> dict[str, Any]:
    headers = Headers(scope=scope)
    sent = {name: headers.get(name) for name in ("host", "origin", "sec-fetch-site")}
    client = scope.get("client")
    return {
        "event": event,
        "method": scope["method"],
        "path": scope["path"][:MAX_CHARS],
        "status": status,
        "tenant": (await identify_caller()).tenant,
        "client": client[0] if client else None,
        **{name: value[:MAX_CHARS] for name, value in sent.items() if value},
    }
