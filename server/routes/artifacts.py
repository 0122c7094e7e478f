"""Artifacts: files that agents made or people brought, by content hash."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from server.http.access import CallerOf
from server.http.bodies import Offset, StrictRoute, media_type, read_json, unsupported
from server.http.uploads import FileBody, form_files, kept, kept_file
from server.services import ServicesOf

router = APIRouter(tags=["artifacts"], route_class=StrictRoute)

ALONE = "sandbox"
"""Whatever an agent made must not run as a page of this origin."""
PAGE_ALONE = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""A page may move by itself, as an origin of its own that reaches nothing: no server, no cookie."""
FORM = {
    "type": "object",
    "required": ["files"],
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}


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


@router.post(
    "/artifacts",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {"schema": FileBody.model_json_schema()},
                "multipart/form-data": {"schema": FORM},
            }
        }
    },
)
async def upload_artifacts(request: Request, services: ServicesOf, caller: CallerOf) -> Any:
    """Bring files for agents to work on: `curl -F files=@photo.jpg`, a data URL, or a URL that is
    fetched. Each answer's artifact may be given as the input of an agent."""
    if media_type(request) == "multipart/form-data":
        async with form_files(request) as (_, files):
            return {
                "artifacts": [await kept(file, services, caller) for _, file in files],
            }
    if media_type(request) != "application/json":
        raise unsupported(request, "JSON as application/json, or files as multipart/form-data")
    body = await read_json(request, FileBody)
    return {"artifacts": [await kept_file(body.source, "url", services, caller, body.name)]}


@router.get("/artifacts/{artifact_id}", response_class=FileResponse)
async def fetch_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> FileResponse:
    """The bytes, which never change under this name; parts of them for the header `Range`."""
    artifact = await services.artifacts.get(artifact_id, tenant=caller.tenant)
    is_page = artifact.media_type.partition(";")[0] == "text/html"
    guarded = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": PAGE_ALONE if is_page else ALONE,
        "X-Content-Type-Options": "nosniff",
    }
    return FileResponse(
        artifact.path,
        media_type=artifact.media_type,
        headers=guarded,
        filename=artifact.filename,
        content_disposition_type="inline",
    )


@router.get("/artifacts/{artifact_id}/about")
async def describe_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Media type, size and provenance."""
    return (await services.artifacts.get(artifact_id, tenant=caller.tenant)).as_dict()
