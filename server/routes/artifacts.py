"""Routes of artifacts: files that agents made or people brought, by content hash."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from server.http.access import CallerOf
from server.http.bodies import Offset, StrictRoute, media_type, read_json, unsupported
from server.http.files import StoredFile
from server.http.openapi import files_form, request_body
from server.http.security_headers import FILE_POLICY
from server.http.uploads import FileBody, read_file_form, store_referenced, store_upload
from server.services import ServicesOf

router = APIRouter(tags=["artifacts"], route_class=StrictRoute)

SHOWN = {
    *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("audio/wav", "audio/x-wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4"),
    *("audio/aac", "audio/opus", "audio/webm"),
    *("video/mp4", "video/webm", "video/ogg", "video/quicktime", "text/plain"),
}
"""Media types in which no script can stand; a browser may show them in place."""
NAMED = {
    *("text/html", "text/markdown", "text/csv", "application/json", "application/pdf"),
    *("application/zip", "application/epub+zip", "image/svg+xml", "image/tiff"),
}
"""Media types of downloads that no page can take in as a script or a style."""


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


@router.get("/artifacts/{artifact_id}", response_class=StoredFile)
async def fetch_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> StoredFile:
    """Fetch the bytes, which never change under this name; a part of them for `Range`."""
    artifact = await services.artifacts.get(artifact_id, tenant=caller.tenant)
    # Browsers read a second type out of odd parameters: they never see what an uploader sent.
    kind = artifact.media_type.partition(";")[0].strip()
    return StoredFile(
        artifact.path,
        media_type=kind if kind in SHOWN | NAMED else "application/octet-stream",
        headers={
            "Cache-Control": "private, max-age=31536000, immutable",
            "ETag": f'"{artifact.id}"',
            "Content-Security-Policy": FILE_POLICY,
        },
        filename=artifact.filename,
        content_disposition_type="inline" if kind in SHOWN else "attachment",
    )


@router.get("/artifacts/{artifact_id}/about")
async def describe_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Describe an artifact: media type, size and provenance."""
    return (await services.artifacts.get(artifact_id, tenant=caller.tenant)).as_dict()


@router.delete("/artifacts/{artifact_id}", status_code=204)
async def delete_artifact(artifact_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete an artifact, also where runs and threads name it."""
    await services.artifacts.delete(artifact_id, tenant=caller.tenant)
