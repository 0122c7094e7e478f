"""The FastAPI application: lifespan, middleware, routes; nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from config.settings import Settings
from server.errors import install_error_handlers
from server.limits import BodyLimit
from server.routes import agents, artifacts, health, indexes, models, runs, threads
from server.services import Services, open_services

DESCRIPTION = """\
Runs multi-step AI agents on your own hardware. `POST /agents/{name}/run` streams the steps as
they happen; `GET /runs/{id}/events` comes back to them. Errors have one shape:
`{"error": {"code", "family", "message", "details"}}`.
"""


class State(TypedDict):
    """What the lifespan hands to every request, as `request.state`."""

    services: Services


def create_app(settings: Settings) -> FastAPI:
    """The application; its services are opened when it starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with open_services(settings) as services:
            app.state.services = services
            yield {"services": services}

    app = FastAPI(
        title="Motet", version="0.1.0", description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    app.add_middleware(
        BodyLimit,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
    )
    install_error_handlers(app)
    for routes in (agents, runs, threads, indexes, models, artifacts, health):
        app.include_router(routes.router)
    return app
