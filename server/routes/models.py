"""Routes of models: list and explain, load, unload, pin, follow; and this machine's profile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import ConfigDict, Field

from config.errors import NotFound, nearest
from config.redaction import publish_details
from models.manager import Models
from models.report import ModelStatus
from server.http.access import CallerOf
from server.http.bodies import Offset, StrictBody, StrictRoute
from server.http.sse import EventStream, SSEChunk, format_event, parse_last_event_id
from server.machine_profile import machine_profile
from server.services import ServicesOf

router = APIRouter(tags=["models"], route_class=StrictRoute)

WAIT_S = 600.0


class WaitBody(StrictBody):
    """How long to wait for a model to come or to go."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"wait_s": 120}]})

    wait_s: float = Field(
        WAIT_S, gt=0, le=3600, description="504 after so long; what was begun goes on."
    )


EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events as they happen; `id` is their number.",
        "content": {
            "text/event-stream": {
                "example": "id: 1764131400007\nevent: ready\n"
                'data: {"seq": 1764131400007, "event": "ready", "model": "minilm"}\n\n'
            }
        },
    }
}


@router.get("/models")
async def list_models(services: ServicesOf, caller: CallerOf) -> Any:
    """List every model with its state, every role with its choice, and the memory ledger.

    `problems` are what is wrong with models.yaml as it is now; the last good one is in force.
    """
    problem = services.models_file.problem
    listing = {
        "models": [status.as_dict() for status in await services.models.discover()],
        "roles": [role.as_dict() for role in await services.models.roles()],
        "memory": [device.as_dict() for device in services.models.memory()],
        "environment": services.settings.environment,
        "problems": [problem.as_dict()] if problem else [],
    }
    return _publish(listing)


@router.get("/models/profile")
async def show_profile(services: ServicesOf, caller: CallerOf) -> Any:
    """Show this machine's devices, and the models that suit it, each with its command."""
    return await machine_profile(services.machine, services.models)


@router.get("/models/events", response_class=Response, responses=EVENTS)
async def follow_models(
    services: ServicesOf,
    caller: CallerOf,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Offset | None = None,
) -> Response:
    """Follow what happens to models: loads, unloads with their reason, refusals, pins, pulls.

    From now on, or behind `Last-Event-ID` or `?after=`.
    """
    if after is None and last_event_id is not None:
        after = parse_last_event_id(last_event_id)
    events = services.models.follow_events(after)
    return EventStream(_encode_all(events), heartbeat_s=services.settings.heartbeat_s)


@router.get("/models/{name:path}")
async def show_model(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Show a model: its state and why, device, memory, who uses it and who waits."""
    return _publish((await _status(name, services.models)).as_dict())


@router.post("/models/{name:path}/load")
async def load_model(
    name: str, services: ServicesOf, caller: CallerOf, body: WaitBody | None = None
) -> Any:
    """Load a model, or the one that a role stands for; the answer comes when it is ready."""
    wait_s = (body or WaitBody()).wait_s
    loaded = await services.models.load(name, tenant=caller.tenant, wait_s=wait_s)
    return _publish((await _status(loaded.model.name, services.models)).as_dict())


@router.post("/models/{name:path}/unload")
async def unload_model(
    name: str, services: ServicesOf, caller: CallerOf, body: WaitBody | None = None
) -> Any:
    """Unload a model when its work under way has ended; after the answer its memory is free."""
    await services.models.unload(name, wait_s=(body or WaitBody()).wait_s)
    return _publish((await _status(name, services.models)).as_dict())


@router.put("/models/{name:path}/pin")
async def pin_model(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Keep a model once it is loaded, whatever else needs room, until the service ends."""
    services.models.pin(name, True)
    return _publish((await _status(name, services.models)).as_dict())


@router.delete("/models/{name:path}/pin")
async def unpin_model(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Let a model go again when others need its room."""
    services.models.pin(name, False)
    return _publish((await _status(name, services.models)).as_dict())


def _publish(report: Any) -> Any:
    """Leave out what reasons and problems tell of this machine: paths and internal addresses."""
    return publish_details(report, [])


async def _status(name: str, models: Models) -> ModelStatus:
    statuses = {status.model.name: status for status in await models.discover()}
    if name not in statuses:
        raise NotFound(
            f"There is no model '{name[:80]}'. {nearest(name, statuses)}",
            code="model_not_found",
            details={"field": "model", "model": name[:80]},
        )
    return statuses[name]


async def _encode_all(events: AsyncIterator[Mapping[str, Any]]) -> AsyncGenerator[SSEChunk]:
    async for event in events:
        yield SSEChunk(format_event(event["event"], _publish(event), id=event["seq"]))
