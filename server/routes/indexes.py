"""Routes of indexes: create, list, show, refresh, rebuild, export, import, delete."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Body, Header, Request, Response
from pydantic import ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.responses import StreamingResponse

from config.errors import Invalid
from indexes.reports import IngestReport
from indexes.spec import IndexSpec, index_spec
from server.adapters.declarations import find_model_problems
from server.http.access import CallerOf
from server.http.bodies import StrictBody, StrictRoute, media_type, read_json, unsupported
from server.http.machine_paths import MachinePathsOf
from server.http.openapi import file_form, request_body
from server.http.progress import ReportProgress, respond
from server.services import Services, ServicesOf

router = APIRouter(tags=["indexes"], route_class=StrictRoute)

CHUNK_BYTES = 2**20
SNAPSHOT = "application/vnd.sqlite3"
NewIndex = Annotated[
    dict[str, Any], Body(examples=[{"name": "docs", "description": "Our handbook."}])
]


SNAPSHOT_FORM = file_form(
    "file", name={"type": "string", "description": "Default: the name it was exported by."}
)


class ImportBody(StrictBody):
    """A snapshot on the server's machine."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"path": "/backup/docs.motet"}]})

    path: str
    name: str | None = Field(None, description="Default: the name it was exported by.")


@router.get("/indexes")
async def list_indexes(services: ServicesOf, caller: CallerOf) -> Any:
    """List every index with its counts."""
    infos = await services.indexes.list(caller.tenant)
    return {"indexes": [info.as_dict() for info in infos]}


@router.post("/indexes", status_code=201)
async def create_index(
    body: NewIndex, services: ServicesOf, caller: CallerOf, paths: MachinePathsOf
) -> Any:
    """Create an empty index."""
    spec = index_spec(body)
    folders = tuple(str(paths.resolve(folder, "folders")) for folder in spec.folders)
    spec = spec.model_copy(update={"folders": folders})
    _check_models(spec, services)
    index = await services.indexes.create(spec, caller.tenant)
    info = await index.describe()
    services.folder_watcher.follow(info, tenant=caller.tenant)
    return info.as_dict()


def _check_models(spec: IndexSpec, services: Services) -> None:
    """Raise `Invalid` (`invalid_index`) for a model that could never embed or sort passages."""
    for path, problem in find_model_problems(spec, services.models.find_name_problem):
        field = ".".join(map(str, path))
        raise Invalid(f"{field}: {problem}", code="invalid_index", details={"field": field})


@router.post(
    "/indexes/import",
    status_code=201,
    openapi_extra=request_body(json=ImportBody, form=SNAPSHOT_FORM),
)
async def import_index(
    request: Request, services: ServicesOf, caller: CallerOf, paths: MachinePathsOf
) -> Any:
    """Make an index of a snapshot that was exported: an upload, or a file of the server."""
    indexes = services.indexes
    if media_type(request) == "application/json":
        body = await read_json(request, ImportBody)
        file_path = paths.resolve(body.path, "path")
        index = await indexes.import_snapshot(file_path, body.name, tenant=caller.tenant)
        return (await index.describe()).as_dict()
    if media_type(request) != "multipart/form-data":
        raise unsupported(request, "JSON as application/json, or a file as multipart/form-data")
    async with request.form(max_files=1) as form:
        file, name = form.get("file"), form.get("name")
        if not isinstance(file, UploadFile):
            raise Invalid(
                "The form holds no snapshot: send it as `file`.", details={"field": "file"}
            )
        with services.temp_files.reserve_path() as path:
            await asyncio.to_thread(_copy, file.file, path)
            new_name = str(name) if name else None
            index = await indexes.import_snapshot(path, new_name, tenant=caller.tenant)
    return (await index.describe()).as_dict()


@router.get("/indexes/{name}")
async def show_index(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Show an index with its counts."""
    index = await services.indexes.get(name, caller.tenant)
    return (await index.describe()).as_dict()


@router.delete("/indexes/{name}", status_code=204)
async def delete_index(name: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete an index with all its documents."""
    await services.indexes.delete(name, caller.tenant)
    services.folder_watcher.unfollow(name, tenant=caller.tenant)


@router.get("/indexes/{name}/stats")
async def show_stats(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Measure how large the index is, on disk and in memory, and count what it holds."""
    index = await services.indexes.get(name, caller.tenant)
    return (await index.stats()).as_dict()


@router.post("/indexes/{name}/refresh", response_class=Response)
async def refresh_index(
    name: str,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Index the folders that the index declares; only what has changed is read.

    With `Accept: text/event-stream`, events of progress come before the report.
    """
    index = await services.indexes.get(name, caller.tenant)

    async def work(report: ReportProgress) -> IngestReport:
        whole = IngestReport(name)
        for part in await index.refresh(on_progress=report):
            whole.join(part)
        return whole

    return await respond(work, accept, services.settings, f"refresh {name}")


@router.post("/indexes/{name}/rebuild")
async def rebuild_index(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Build the search files anew out of what is stored; embeds only for another model."""
    index = await services.indexes.get(name, caller.tenant)
    await index.rebuild()
    return (await index.describe()).as_dict()


@router.get(
    "/indexes/{name}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {SNAPSHOT: {}}}},
)
async def export_index(name: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Export the index as it is at this moment, as one file to import; work on it goes on."""
    index = await services.indexes.get(name, caller.tenant)
    with services.temp_files.reserve_path() as path:
        await index.export(path)
        # Unlinked once it is open: however the download ends, no copy of it stays.
        file = path.open("rb")
    headers = {
        "Content-Length": str(_size(file)),
        "Content-Disposition": f'attachment; filename="{name}.motet"',
    }
    return StreamingResponse(_chunks(file), media_type=SNAPSHOT, headers=headers)


@router.get("/indexes/{name}/ingests")
async def list_ingests(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """List the folders and crawls that were begun lately, the latest first."""
    index = await services.indexes.get(name, caller.tenant)
    return {"ingests": [state.as_dict() for state in await index.list_ingests()]}


@router.delete("/indexes/{name}/ingests/{ingest}", status_code=204)
async def cancel_ingest(name: str, ingest: str, services: ServicesOf, caller: CallerOf) -> None:
    """End an ingest that runs in the background; what it has indexed stays."""
    index = await services.indexes.get(name, caller.tenant)
    await index.cancel_ingest(ingest)


def _copy(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy, CHUNK_BYTES)


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
