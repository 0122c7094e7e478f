"""Deleting what has grown old, on request."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from runs.retention import RetentionPolicy
from server.http.access import CallerOf
from server.http.bodies import StrictBody, StrictRoute
from server.http.responses import json_response
from server.services import ServicesOf

router = APIRouter(tags=["retention"], route_class=StrictRoute)

Days = Field(None, ge=0, le=100_000)


class PruneBody(StrictBody):
    """What is deleted: all that is older than so many days. What has no field is kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs_days": 30, "dry_run": True}]})

    runs_days: float | None = Days
    threads_days: float | None = Days
    artifacts_days: float | None = Days
    keys_days: float | None = Days
    dry_run: bool = False


@router.post("/prune")
async def prune(body: PruneBody, services: ServicesOf, caller: CallerOf) -> Response:
    """Delete the caller's old runs, threads, artifacts and keys, and shrink the file."""
    policy = RetentionPolicy(**body.model_dump(exclude={"dry_run"}))
    pruned = await services.retention.prune(policy, tenant=caller.tenant, dry_run=body.dry_run)
    return json_response(pruned.as_dict())
