"""Routes of artifacts: files that agents made or people brought, by content hash."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from server.http.access import CallerOf
from server.http.bodies import Offset, StrictRoute, media_type, read_json, unsupported
from server.http.openapi import files_form, request_body
from server.http.uploads import FileBody, read_file_form, store_referenced, store_upload
from server.services import ServicesOf

router = APIRouter(tags=["artifacts"], route_class=StrictRoute)

FILE_POLICY = "sandbox"
"""Content-Security-Policy: whatever an agent made must not run as a page of this origin."""
PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""A page may move by itself, as an origin of its own that reaches nothing: no server, no cookie."""


@router.get("/artifacts")
async def list_artifacts(
    services: ServicesOf,
    caller: CallerOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> Any:
    """List artifacts, newest first."""
    artifacts = await services.artifacts.list(tenant=caller.tenant, limit=limit, offset=offset)
    return {"artifacts": [artifact.as_dict() for artifact in artifacts]}


@router.post(
    "/artifacts",
    status_code=201,
    openapi_extra=request_body(json=FileBody, form=files_form()),
)
async def upload_artifacts(request: Request, services: ServicesOf, caller: CallerOf) -> Any:
    """Store files for agents to work on: `curl -F files=@photo.jpg`, a data URL, or a URL.

    A URL is fetched. Each artifact of the answer may be sent as the input of an agent.
    """
    if media_type(request) == "multipart/form-data":
        async with read_file_form(request) as uploaded:
            stored = [await store_upload(each.file, services, caller) for each in uploaded.files]
            return {"artifacts": stored}
    if media_type(request) != "application/json":
        raise unsupported(request, "JSON as application/json, or files as multipart/form-data")
    body = await read_json(request, FileBody)
    return {"artifacts": [await store_referenced(body.source, "url", services, caller, body.name)]}


@router.get("/artifacts/{artifact_id}", response_class=FileResponse)
async def fetch_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> FileResponse:
    """Fetch the bytes, which never change under this name; a part of them for `Range`."""
    artifact = await services.artifacts.get(artifact_id, tenant=caller.tenant)
    is_page = artifact.media_type.partition(";")[0] == "text/html"
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": PAGE_POLICY if is_page else FILE_POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return FileResponse(
        artifact.path,
        media_type=artifact.media_type,
        headers=headers,
        filename=artifact.filename,
        content_disposition_type="inline",
    )


@router.get("/artifacts/{artifact_id}/about")
async def describe_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Describe an artifact: media type, size and provenance."""
    return (await services.artifacts.get(artifact_id, tenant=caller.tenant)).as_dict()


@router.delete("/artifacts/{artifact_id}", status_code=204)
async def delete_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete an artifact, also where runs and threads name it."""
    await services.artifacts.delete(artifact_id, tenant=caller.tenant)
