"""Pulls: models on their way to this machine, told, cancelled, resumed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from models.pulls import Pulls
from models.pulls.job import UNDER_WAY
from runs.events import dumps
from server.http.access import CallerOf
from server.http.bodies import StrictRoute
from server.http.sse import FORMAT, EventStream, json_wanted
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
TOLD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The job; where events are accepted, `progress` until it has ended.",
        "content": {
            "application/json": {"example": EXAMPLE},
            FORMAT: {"example": 'event: progress\ndata: {"state": "running"}\n\n'},
        },
    }
}
BEGUN = {**TOLD, 202: {"description": "The job, under way at the address in `Location`."}}


class PullBody(BaseModel):
    """Which model to get."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "ollama/qwen3:4b"}]}
    )

    name: str = Field(
        min_length=1,
        max_length=500,
        description="A model of models.yaml, BACKEND/SOURCE, or with `backend` its source.",
    )
    backend: str | None = Field(None, description="The back end that `name` is a source of.")


@router.post("/models/pull", status_code=202, response_class=Response, responses=BEGUN)
async def start_pull(
    body: PullBody,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Get a model, or go on where an earlier pull of it stopped; it goes on without its reader."""
    job = services.models.pulls.start(body.name, body.backend)
    if FORMAT in accept.lower():
        return _stream(services.models.pulls, job.name, services.settings.heartbeat_s)
    headers = {"Location": f"/models/pulls/{quote(job.name, safe='/:@')}"}
    return Response(dumps(job.as_dict()), 202, headers, media_type="application/json")


@router.get("/models/pulls")
async def list_pulls(services: ServicesOf, caller: CallerOf) -> Any:
    """Every pull that is known, the one started last first."""
    return {"pulls": [job.as_dict() for job in services.models.pulls.list()]}


@router.get("/models/pulls/{name:path}", response_class=Response, responses=TOLD)
async def show_pull(
    name: str, services: ServicesOf, caller: CallerOf, accept: Annotated[str, Header()] = "*/*"
) -> Response:
    """One pull, by the model's name; as events, until it has ended."""
    pulls = services.models.pulls
    job = pulls.get(name)
    if FORMAT in accept.lower() and not json_wanted(accept):
        return _stream(pulls, name, services.settings.heartbeat_s)
    return Response(dumps(job.as_dict()), media_type="application/json")


@router.delete("/models/pulls/{name:path}")
async def cancel_pull(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Stop a pull; what it got is kept for the next one. One that has ended stays as it is."""
    return (await services.models.pulls.cancel(name)).as_dict()


def _stream(pulls: Pulls, name: str, heartbeat_s: float) -> Response:
    return EventStream(_frames(pulls, name), heartbeat_s=heartbeat_s)


async def _frames(pulls: Pulls, name: str) -> AsyncIterator[tuple[bytes, bool]]:
    async with aclosing(pulls.watch(name)) as told:
        async for job in told:
            ended = job["state"] not in UNDER_WAY
            kind = b"finished" if ended else b"progress"
            yield b"event: %s\ndata: %s\n\n" % (kind, dumps(job)), ended
