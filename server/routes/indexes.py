"""Indexes: create, fill, search, open a citation, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import UploadFile

from config.errors import Invalid
from config.settings import LOOPBACK
from indexes.records import Failure, IngestReport, Progress
from indexes.spec import index_spec
from runs.events import dumps
from server.access import Caller, CallerOf
from server.bodies import Offset, StrictRoute, media_type, read_json, unsupported
from server.progress import told
from server.services import Services, ServicesOf
from server.sse import FORMAT, EventStream
from tools.guard import fetch

router = APIRouter(tags=["indexes"], route_class=StrictRoute)

Tell = Callable[[Progress], None]
NewIndex = Annotated[
    dict[str, Any], Body(examples=[{"name": "docs", "description": "Our handbook."}])
]


class DocumentBody(BaseModel):
    """What to index: one of the server's folders, a URL, or a text."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"folder": "/srv/handbook"}]}
    )

    folder: str | None = Field(None, description="A folder on the server's machine.")
    url: str | None = Field(None, description="A page; only public addresses are fetched.")
    text: str | None = None
    source: str | None = Field(None, description="The name that `text` is cited by.")
    title: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_three(self) -> DocumentBody:
        if sum(value is not None for value in (self.folder, self.url, self.text)) != 1:
            raise ValueError("give one of folder, url and text")
        if self.text is not None and not self.source:
            raise ValueError("a text needs a source: the name it is cited by")
        return self


class SearchBody(BaseModel):
    """What to look for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "how to start", "limit": 5}]}
    )

    query: str = Field(min_length=1, max_length=4000)
    limit: int = Field(8, ge=1, le=100)
    mode: Literal["hybrid", "dense", "keyword"] = "hybrid"
    documents: list[str] | None = Field(None, description="Search only in these documents.")


@router.get("/indexes")
async def list_indexes(services: ServicesOf, caller: CallerOf) -> Any:
    """Every index with its counts."""
    found = await services.indexes.list(tenant=caller.tenant)
    return {"indexes": [index.as_dict() for index in found]}


@router.post("/indexes", status_code=201)
async def create_index(body: NewIndex, services: ServicesOf, caller: CallerOf) -> Any:
    """Create an empty index."""
    spec = index_spec(body)
    return (await services.indexes.create(spec, tenant=caller.tenant)).as_dict()


@router.get("/indexes/{name}")
async def show_index(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """One index with its counts."""
    return (await services.indexes.get(name, tenant=caller.tenant)).as_dict()


@router.delete("/indexes/{name}", status_code=204)
async def delete_index(name: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete an index with all its documents."""
    await services.indexes.delete(name, tenant=caller.tenant)


@router.post("/indexes/{name}/search")
async def search_index(name: str, body: SearchBody, services: ServicesOf, caller: CallerOf) -> Any:
    """The passages that fit best, best first, each with its place in the source."""
    found = await services.indexes.search(
        name,
        body.query,
        limit=body.limit,
        mode=body.mode,
        documents=body.documents,
        tenant=caller.tenant,
    )
    return {"passages": [passage.as_dict() for passage in found]}


@router.get("/indexes/{name}/documents")
async def list_documents(
    name: str,
    services: ServicesOf,
    caller: CallerOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> Any:
    """The documents of an index."""
    found = await services.indexes.documents(name, tenant=caller.tenant, limit=limit, offset=offset)
    return {"documents": [document.as_dict() for document in found]}


@router.post(
    "/indexes/{name}/documents",
    response_class=Response,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {"schema": DocumentBody.model_json_schema()},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "files": {
                                "type": "array",
                                "items": {"type": "string", "format": "binary"},
                            }
                        },
                    }
                },
            }
        }
    },
)
async def add_documents(
    name: str,
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Index a folder, a URL, a text, or uploaded files (`curl -F files=@handbook.md`).

    Answers with a report, durable when it is given; with `Accept: text/event-stream`, events of
    progress come before it.
    """
    await services.indexes.get(name, tenant=caller.tenant)
    work = await _work(name, request, services, caller)
    if accept.startswith(FORMAT):
        return EventStream(told(work, "ingest"), heartbeat_s=services.settings.heartbeat_s)
    report = await work(lambda progress: None)
    return Response(dumps(report.as_dict()), media_type="application/json")


@router.get("/indexes/{name}/documents/{document}")
async def show_document(name: str, document: str, services: ServicesOf, caller: CallerOf) -> Any:
    """One document with its text, to which every span refers."""
    return (await services.indexes.document(name, document, tenant=caller.tenant)).as_dict()


@router.get("/indexes/{name}/documents/{document}/citation")
async def open_citation(
    name: str,
    document: str,
    services: ServicesOf,
    caller: CallerOf,
    start: Annotated[int, Query(ge=0)],
    end: Annotated[int, Query(ge=0)],
    hash: str | None = None,
) -> Any:
    """The cited span with its surroundings; `changed` where the source is another one by now."""
    shown = await services.indexes.cite(name, document, start, end, hash=hash, tenant=caller.tenant)
    return shown.as_dict()


@router.delete("/indexes/{name}/documents/{document}", status_code=204)
async def delete_document(name: str, document: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete a document: its text, its passages, their vectors and terms."""
    await services.indexes.delete_document(name, document, tenant=caller.tenant)


async def _work(name: str, request: Request, services: Services, caller: Caller) -> Any:
    """The ingest that a request asks for, to be begun with a listener for its progress."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        return await _upload(name, request, services, caller)
    if media_type(request) != "application/json":
        raise unsupported(request, "JSON as application/json, or files as multipart/form-data")
    body = await read_json(request, DocumentBody)
    if body.folder is not None:
        return _folder(name, Path(body.folder), services, caller)
    return _single(name, body, services, caller)


def _folder(name: str, folder: Path, services: Services, caller: Caller) -> Any:
    if services.settings.host not in LOOPBACK:
        raise Invalid(
            "A folder of the server is indexed only where the service listens on loopback.",
            code="forbidden",
            details={"field": "folder"},
        )

    async def work(tell: Tell) -> IngestReport:
        return await services.indexes.add_folder(name, folder, tenant=caller.tenant, progress=tell)

    return work


def _single(name: str, body: DocumentBody, services: Services, caller: Caller) -> Any:
    async def work(tell: Tell) -> IngestReport:
        source, media_type, data = str(body.source), "text/plain", (body.text or "").encode()
        if body.url is not None:
            page = await fetch(body.url, services.fetch_limits)
            source, media_type, data = page.url, page.media_type, page.data
        return await services.indexes.add_document(
            name,
            source=source,
            media_type=media_type,
            data=data,
            title=body.title,
            metadata=body.metadata,
            tenant=caller.tenant,
        )

    return work


async def _upload(name: str, request: Request, services: Services, caller: Caller) -> Any:
    form = await request.form(max_files=1000)
    files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
    if not files:
        raise Invalid("The form holds no file: send them as `files`.", details={"field": "files"})

    async def add(file: UploadFile) -> IngestReport:
        return await services.indexes.add_document(
            name,
            source=_source(file),
            media_type=file.content_type,
            data=await file.read(),
            tenant=caller.tenant,
        )

    async def work(tell: Tell) -> IngestReport:
        if len(files) == 1:
            return await add(files[0])
        whole = IngestReport(name)
        for done, file in enumerate(files, 1):
            try:
                _join(whole, await add(file))
            except Invalid as error:
                whole.failed.append(Failure(_source(file), error.code, error.message))
            tell(Progress(done, len(files), whole.passages, whole.passages))
        return whole

    return work


def _source(file: UploadFile) -> str:
    """The name that an upload is cited by: its path, which may not lead upwards."""
    parts = (file.filename or "").replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..")) or "upload"


def _join(whole: IngestReport, part: IngestReport) -> None:
    """Add the counts and lists of one file's report to those of the upload."""
    for field in fields(IngestReport):
        if field.name != "index":
            setattr(whole, field.name, getattr(whole, field.name) + getattr(part, field.name))
