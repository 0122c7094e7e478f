"""Routes of threads, in the shapes of the LangGraph server protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from config.errors import Invalid
from server.http.access import CallerOf
from server.http.bodies import MAX_INTEGER, StrictBody, StrictRoute, Texts
from server.http.responses import json_response, page_response
from server.services import ServicesOf

router = APIRouter(tags=["threads"], route_class=StrictRoute)

CheckpointId = Annotated[str, Field(min_length=1)]
CheckpointRef = dict[str, Any] | CheckpointId
"""A checkpoint: its id, or the object that holds it, bare or under `configurable`."""


Minutes = Annotated[float, Field(gt=0, le=100_000_000)]


class ThreadTtl(StrictBody):
    """How long a thread lives, as the protocol says it."""

    ttl: Minutes
    strategy: Literal["delete"] = "delete"


class ThreadBody(StrictBody):
    """A new thread."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"who": "me"}}]})

    thread_id: str | None = Field(None, description="A UUID; made where none is given.")
    metadata: dict[str, Any] = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    ttl: Minutes | ThreadTtl | None = Field(
        None, description="Minutes after its last use, after which it is deleted."
    )


class ThreadPatch(StrictBody):
    """What to change of a thread."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"who": "you"}}]})

    metadata: dict[str, Any] = Field(default_factory=dict)


class StateUpdate(StrictBody):
    """What to write into a thread's state."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"values": {"draft": "Better."}}]})

    values: Any = None
    as_node: str | None = None
    checkpoint: CheckpointRef | None = None
    checkpoint_id: CheckpointId | None = None


class HistoryBody(StrictBody):
    """Which part of a thread's history."""

    limit: int = Field(10, ge=1, le=1000)
    before: CheckpointRef | None = None
    metadata: dict[str, Any] | None = None


class CheckpointBody(StrictBody):
    """Which state."""

    checkpoint: CheckpointRef
    subgraphs: bool = False


class ThreadSearchBody(StrictBody):
    """Which threads."""

    metadata: dict[str, Any] | None = Field(None, description="What their metadata holds.")
    ids: Texts | None = None
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_INTEGER)


@router.post("/threads")
async def create_thread(
    services: ServicesOf, caller: CallerOf, body: ThreadBody | None = None
) -> Response:
    """Create a thread: a conversation with a state of its own."""
    body = body or ThreadBody()
    minutes = body.ttl.ttl if isinstance(body.ttl, ThreadTtl) else body.ttl
    return json_response(
        await services.threads.create(
            body.thread_id,
            body.metadata,
            if_exists=body.if_exists,
            ttl_s=minutes * 60 if minutes else None,
            tenant=caller.tenant,
        )
    )


@router.post("/threads/search")
async def search_threads(
    services: ServicesOf, caller: CallerOf, body: ThreadSearchBody | None = None
) -> Response:
    """Search threads, most recently used first."""
    body = body or ThreadSearchBody()
    return page_response(await services.threads.search(**body.model_dump(), tenant=caller.tenant))


@router.get("/threads/{thread_id}")
async def show_thread(thread_id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Show the thread, its status, latest values and open questions."""
    return json_response(await services.threads.get(thread_id, tenant=caller.tenant))


@router.patch("/threads/{thread_id}")
async def update_thread(
    thread_id: str, body: ThreadPatch, services: ServicesOf, caller: CallerOf
) -> Response:
    """Merge metadata into the thread's."""
    return json_response(
        await services.threads.update(thread_id, body.metadata, tenant=caller.tenant)
    )


@router.delete("/threads/{thread_id}", status_code=204)
async def delete_thread(thread_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete the thread, its state and its runs."""
    await services.threads.delete(thread_id, tenant=caller.tenant)


@router.post("/threads/{thread_id}/copy")
async def copy_thread(thread_id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Fork: a new thread with the same state and history."""
    return json_response(await services.threads.copy(thread_id, tenant=caller.tenant))


@router.get("/threads/{thread_id}/state")
async def show_state(
    thread_id: str, services: ServicesOf, caller: CallerOf, subgraphs: bool = False
) -> Response:
    """Show the thread's state now."""
    return json_response(await services.threads.get_state(thread_id, tenant=caller.tenant))


@router.get("/threads/{thread_id}/state/{checkpoint_id}")
async def show_past_state(
    thread_id: str,
    checkpoint_id: str,
    services: ServicesOf,
    caller: CallerOf,
    subgraphs: bool = False,
) -> Response:
    """Show the thread's state at a checkpoint."""
    return json_response(
        await services.threads.get_state(thread_id, checkpoint_id, tenant=caller.tenant)
    )


@router.post("/threads/{thread_id}/state/checkpoint")
async def find_past_state(
    thread_id: str, body: CheckpointBody, services: ServicesOf, caller: CallerOf
) -> Response:
    """Show the thread's state at a checkpoint, named as the protocol names it."""
    checkpoint_id = _checkpoint_id(body.checkpoint, "checkpoint")
    return json_response(
        await services.threads.get_state(thread_id, checkpoint_id, tenant=caller.tenant)
    )


@router.post("/threads/{thread_id}/state")
async def update_state(
    thread_id: str, body: StateUpdate, services: ServicesOf, caller: CallerOf
) -> Response:
    """Write into the state, as a node would; from an older checkpoint this forks the history."""
    return json_response(
        await services.threads.update_state(
            thread_id,
            body.values,
            as_node=body.as_node,
            checkpoint_id=body.checkpoint_id or _checkpoint_id(body.checkpoint, "checkpoint"),
            tenant=caller.tenant,
        )
    )


@router.post("/threads/{thread_id}/history")
async def show_history(
    thread_id: str, services: ServicesOf, caller: CallerOf, body: HistoryBody | None = None
) -> Response:
    """List the thread's states, newest first."""
    body = body or HistoryBody()
    return page_response(
        await services.threads.get_history(
            thread_id,
            limit=body.limit,
            before=_checkpoint_id(body.before, "before"),
            metadata=body.metadata,
            tenant=caller.tenant,
        )
    )


@router.get("/threads/{thread_id}/history")
async def list_history(
    thread_id: str,
    services: ServicesOf,
    caller: CallerOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    before: CheckpointId | None = None,
) -> Response:
    """List the thread's states, newest first."""
    return page_response(
        await services.threads.get_history(
            thread_id, limit=limit, before=before, tenant=caller.tenant
        )
    )


def _checkpoint_id(checkpoint: CheckpointRef | None, field: str) -> str | None:
    if checkpoint is None or isinstance(checkpoint, str):
        return checkpoint
    fields = checkpoint.get("configurable", checkpoint)
    checkpoint_id = fields.get("checkpoint_id") if isinstance(fields, dict) else None
    if not checkpoint_id or not isinstance(checkpoint_id, str):
        raise Invalid(
            f"{field}: there is no checkpoint_id in it.",
            details={"field": f"{field}.checkpoint_id"},
        )
    return checkpoint_id
