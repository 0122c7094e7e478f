"""Routes of an index's documents: add, list, show, cite, compare, delete; and their passages."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response

from config.errors import Invalid
from config.json_values import parse_json
from indexes.checks import MAX_LIMIT
from server.http.access import CallerOf
from server.http.bodies import Offset, StrictRoute, media_type, read_json, unsupported
from server.http.ingest_requests import DocumentBody, JsonIngest, read_form_ingest, start_ingest
from server.http.machine_paths import MachinePathsOf
from server.http.openapi import files_form, request_body
from server.http.progress import Work, respond
from server.http.responses import json_response
from server.services import ServicesOf

router = APIRouter(tags=["documents"], route_class=StrictRoute)

FORM = files_form(metadata={"type": "string", "description": "A JSON object: fields to search by."})


@router.get("/indexes/{name}/documents")
async def list_documents(
    name: str,
    services: ServicesOf,
    caller: CallerOf,
    where: Annotated[str | None, Query(description="A filter as JSON.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> Any:
    """List the documents of an index: all, or those that the filter chooses."""
    index = await services.indexes.get(name, caller.tenant)
    documents = await index.list_documents(where=_parse_filter(where), limit=limit, offset=offset)
    return {"documents": [document.as_dict() for document in documents]}


@router.post(
    "/indexes/{name}/documents",
    response_class=Response,
    openapi_extra=request_body(json=DocumentBody, form=FORM),
)
async def add_documents(
    name: str,
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    paths: MachinePathsOf,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Index a folder, a URL, a site, a text, or uploaded files (`curl -F files=@handbook.md`).

    Answers with a report, durable when it is given; with `Accept: text/event-stream`, events of
    progress come before it. In the `background` it answers 202 with the id of the ingest.
    """
    index = await services.indexes.get(name, caller.tenant)
    if request.headers.get("content-type", "").startswith("multipart/"):
        work: Work = await read_form_ingest(index, request)
    elif media_type(request) != "application/json":
        raise unsupported(request, "JSON as application/json, or files as multipart/form-data")
    else:
        body = await read_json(request, DocumentBody)
        if body.folder is not None:
            body.folder = str(paths.resolve(body.folder, "folder"))
        if body.background:
            ingest = await start_ingest(index, body, services)
            return json_response({"ingest": ingest}, 202)
        work = JsonIngest(index, body, services)
    return await respond(work, accept, services.settings, f"ingest {name}")


@router.get("/indexes/{name}/documents/{document}")
async def show_document(name: str, document: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Show a document with its text, to which every span refers."""
    index = await services.indexes.get(name, caller.tenant)
    return (await index.get_document(document)).as_dict()


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
    """Open a cited span with its surroundings; `changed` where the source has changed since."""
    index = await services.indexes.get(name, caller.tenant)
    return (await index.cite(document, start, end, hash=hash)).as_dict()


@router.get("/indexes/{name}/documents/{document}/similar")
async def similar_documents(
    name: str,
    document: str,
    services: ServicesOf,
    caller: CallerOf,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 8,
) -> Any:
    """Find the documents most like this one by meaning, each with its nearest passage."""
    index = await services.indexes.get(name, caller.tenant)
    similar = await index.find_similar(document, limit=limit)
    return {"documents": [each.as_dict() for each in similar], **similar.completeness()}


@router.delete("/indexes/{name}/documents/{document}", status_code=204)
async def delete_document(name: str, document: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete a document: its text, its passages, their vectors and terms."""
    index = await services.indexes.get(name, caller.tenant)
    await index.delete_document(document)


@router.get("/indexes/{name}/passages/{passage}")
async def show_passage(name: str, passage: str, services: ServicesOf, caller: CallerOf) -> Any:
    """Show a passage with those before and after it, and its section."""
    index = await services.indexes.get(name, caller.tenant)
    return (await index.get_passage(passage)).as_dict()


def _parse_filter(text: str | None) -> Any:
    try:
        return parse_json(text, "where") if text else None
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"where is no JSON: {error}.", code="invalid_filter", details={"field": "where"}
        ) from error
