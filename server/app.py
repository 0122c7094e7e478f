"""The FastAPI application: middleware, error rendering and routes, over services that are open."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from config.settings import Settings
from server.http.application import Application
from server.http.audit import AuditTrail
from server.http.conditional import ConditionalRequests, HeadRequests
from server.http.errors import install_error_handlers
from server.http.limits import BodyLimit
from server.http.negotiation import Negotiation
from server.http.origins import OriginGuard
from server.http.paths import TrailingSlash
from server.routes import (
    agent_versions,
    agents,
    api_description,
    artifacts,
    documents,
    health,
    index_quality,
    indexes,
    model_additions,
    models,
    pulls,
    retention,
    runs,
    search,
    threads,
    tools,
)
from server.services import Services

DESCRIPTION = """\
Runs multi-step AI agents on your own hardware. `POST /agents/{name}/run` streams the steps as
they happen; `GET /runs/{id}/events` comes back to them. Errors have one shape:
`{"error": {"code", "family", "message", "details"}}`.
"""


EXPOSED_HEADERS = ("Location", "Content-Location", "ETag", "Retry-After", "X-Pagination-Next")
"""What pages of allowed sites may read of an answer, besides what every page may."""


def create_app(services: Services) -> Application:
    """Make the application over services that the caller has opened and will close."""
    # FastAPI's own page of the API runs a script of another site, in the origin of the service.
    app = Application(
        title="Motet",
        version="0.1.0",
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.add_middleware(
        BodyLimit,
        max_body_bytes=services.settings.max_body_bytes,
        max_upload_bytes=services.settings.max_upload_bytes,
    )
    for middleware in (TrailingSlash, ConditionalRequests, Negotiation, HeadRequests):
        app.add_middleware(middleware)
    _guard_origins(app, services.settings)
    install_error_handlers(app)
    for routes in (
        *(agents, agent_versions, runs, threads, search, indexes, documents, index_quality),
        *(pulls, model_additions, models, tools, artifacts, retention, health, api_description),
    ):
        app.include_router(routes.router)
    return app


def _guard_origins(app: FastAPI, settings: Settings) -> None:
    """Refuse pages of other sites; those that settings allow may read answers (CORS)."""
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    # Added last, so they come first: nothing sees what the guard refuses but the audit trail.
    app.add_middleware(
        OriginGuard,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
    )
    app.add_middleware(AuditTrail)
