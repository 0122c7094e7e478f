"""Routes of pulls: start one, or go on with it; list, follow and cancel them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Response
from pydantic import ConfigDict, Field

from models.pulls import Pulls
from models.pulls.job import UNDER_WAY
from server.http.access import CallerOf
from server.http.bodies import StrictBody, StrictRoute
from server.http.negotiation import SSE_TYPE, prefers_events
from server.http.responses import json_response
from server.http.sse import EventStream, SSEChunk, format_event
from server.services import ServicesOf

router = APIRouter(tags=["models"], route_class=StrictRoute)

EXAMPLE = {
    "name": "ollama/qwen3:4b",
    "backend": "ollama",
    "source": "qwen3:4b",
    "state": "running",
    "status": "pulling manifest",
    "completed_bytes": 1048576,
    "total_bytes": 2497280480,
    "error": None,
}
JOB: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The job; where events are accepted, `progress` until it has ended.",
        "content": {
            "application/json": {"example": EXAMPLE},
            SSE_TYPE: {"example": 'event: progress\ndata: {"state": "running"}\n\n'},
        },
    }
}
STARTED = {**JOB, 202: {"description": "The job, under way at the address in `Location`."}}


class PullBody(StrictBody):
    """Which model to get."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ollama/qwen3:4b"}]})

    name: str = Field(
        min_length=1,
        max_length=500,
        description="A model of models.yaml, BACKEND/SOURCE, or with `backend` its source.",
    )
    backend: str | None = Field(None, description="The back end that `name` is a source of.")


@router.post("/models/pull", status_code=202, response_class=Response, responses=STARTED)
async def start_pull(
    body: PullBody,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Get a model, or go on where an earlier pull of it stopped; it goes on without its reader."""
    job = services.models.pulls.start(body.name, body.backend)
    await services.models.pulls.wait_saved()
    if prefers_events(accept):
        return _stream(services.models.pulls, job.name, services.settings.heartbeat_s)
    headers = {"Location": f"/models/pulls/{quote(job.name, safe='/:@')}"}
    return json_response(job.as_dict(), 202, headers)


@router.get("/models/pulls")
async def list_pulls(services: ServicesOf, caller: CallerOf) -> Any:
    """List every pull that is known, the one started last first."""
    return {"pulls": [job.as_dict() for job in services.models.pulls.list()]}


@router.get("/models/pulls/{name:path}", response_class=Response, responses=JOB)
async def show_pull(
    name: str, services: ServicesOf, caller: CallerOf, accept: Annotated[str, Header()] = "*/*"
) -> Response:
    """Show a pull, by the model's name; as events, until it has ended."""
    pulls = services.models.pulls
    job = pulls.get(name)
    if prefers_events(accept):
        return _stream(pulls, name, services.settings.heartbeat_s)
    return json_response(job.as_dict())


@router.delete("/models/pulls/{name:path}")
async def cancel_pull(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Stop a pull; what it got is kept for the next one. One that has ended stays as it is."""
    return (await services.models.pulls.cancel(name)).as_dict()


def _stream(pulls: Pulls, name: str, heartbeat_s: float) -> Response:
    return EventStream(_follow(pulls, name), heartbeat_s=heartbeat_s)


async def _follow(pulls: Pulls, name: str) -> AsyncGenerator[SSEChunk]:
    async with aclosing(pulls.watch(name)) as jobs:
        async for job in jobs:
            ended = job["state"] not in UNDER_WAY
            yield SSEChunk(format_event("finished" if ended else "progress", job), last=ended)
