"""Artifacts: bytes that agents made, by content hash."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from server.access import CallerOf
from server.bodies import Offset
from server.services import ServicesOf

router = APIRouter(tags=["artifacts"])


@router.get("/artifacts")
async def list_artifacts(
    services: ServicesOf,
    caller: CallerOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> Any:
    """Artifacts, newest first."""
    found = await services.artifacts.list(tenant=caller.tenant, limit=limit, offset=offset)
    return {"artifacts": [artifact.as_dict() for artifact in found]}


@router.get("/artifacts/{artifact_id}", response_class=FileResponse)
async def fetch_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> FileResponse:
    """The bytes, which never change under this name."""
    artifact = await services.artifacts.get(artifact_id, tenant=caller.tenant)
    # Whatever an agent made must not run as a page of this origin.
    guarded = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return FileResponse(artifact.path, media_type=artifact.media_type, headers=guarded)


@router.get("/artifacts/{artifact_id}/about")
async def describe_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Media type, size and provenance."""
    return (await services.artifacts.get(artifact_id, tenant=caller.tenant)).as_dict()
