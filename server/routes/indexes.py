"""Indexes: create, fill, search, open a citation, delete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Header, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.errors import Invalid, MotetError
from config.settings import LOOPBACK
from runs.events import dumps
from server.access import Caller, CallerOf
from server.routes.agents import json_response
from server.services import Services, ServicesOf
from server.sse import FORMAT, EventStream
from tools.guard import fetch

router = APIRouter(tags=["indexes"])


class IndexBody(BaseModel):
    """A new index."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "docs", "description": "Our handbook."}]}
    )

    name: str
    description: str = ""


class DocumentBody(BaseModel):
    """What to index: the server's folder, a URL, or a text. One of the three."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"folder": "/srv/handbook"}]}
    )

    folder: str | None = Field(None, description="A folder on the server's machine.")
    url: str | None = Field(None, description="A page; only public addresses are fetched.")
    text: str | None = None
    source: str | None = Field(None, description="Where `text` is from; its name in citations.")
    title: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one(self) -> DocumentBody:
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
    documents: list[str] | None = Field(None, description="Search these documents only.")


@router.get("/indexes")
async def list_indexes(services: ServicesOf, caller: CallerOf) -> Any:
    """Every index with its counts."""
    found = await services.indexes.list(tenant=caller.tenant)
    return {"indexes": [index.as_dict() for index in found]}


@router.post("/indexes", status_code=201)
async def create_index(body: IndexBody, services: ServicesOf, caller: CallerOf) -> Any:
    """Create an empty index."""
    index = await services.indexes.create(
        body.name, description=body.description, tenant=caller.tenant
    )
    return index.as_dict()


@router.get("/indexes/{name}")
async def show_index(name: str, services: ServicesOf, caller: CallerOf) -> Any:
    """One index with its counts."""
    return (await services.indexes.get(name, tenant=caller.tenant)).as_dict()


@router.delete("/indexes/{name}", status_code=204)
async def delete_index(name: str, services: ServicesOf, caller: CallerOf) -> None:
    """Delete an index with all its documents."""
    await services.indexes.delete(name, tenant=caller.tenant)
