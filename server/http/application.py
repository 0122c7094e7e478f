"""The FastAPI application, with what must be outside of all that FastAPI puts around routes."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from server.http.security_headers import SecurityHeaders


class Application(FastAPI):
    """FastAPI, whose answers to faults of ours have the security headers too.

    FastAPI answers those outside of every middleware that is added to it.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Put the security headers around everything."""
        return SecurityHeaders(super().build_middleware_stack())
