"""The FastAPI application, with what must be outside of all that FastAPI puts around routes."""

from __future__ import annotations

import asyncio
import logging

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import MotetError
from server.http.errors import error_response
from server.http.security_headers import SecurityHeaders

log = logging.getLogger(__name__)


class Application(FastAPI):
    """FastAPI, whose answers to faults of ours have the envelope and the security headers too.

    FastAPI answers those outside of every middleware that is added to it, and only exceptions: the
    HTTP server would answer what is none, such as a cancelled future, in plain text.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Put the last answer and the security headers around everything."""
        return SecurityHeaders(LastAnswer(super().build_middleware_stack()))

    def prepare_routes(self) -> None:
        """Build what FastAPI else builds of a router at its first request; blocks for 60 ms."""
        for route in self.routes:
            route.matches({"type": "http", "method": "GET", "path": "", "headers": []})


class LastAnswer:
    """ASGI middleware: answers 500 to a request that ended without an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def send_noted(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except BaseException as error:
            task = asyncio.current_task()
            # The HTTP server cancels requests when it stops: that ends in a closed connection.
            if is_answered or (task and task.cancelling()):
                raise
            log.error("a request ended by %s", type(error).__name__, exc_info=error)
            failed = MotetError("The server failed; its log tells why.")
            await error_response(failed)(scope, receive, send)
