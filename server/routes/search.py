"""Routes of searches, in one index or several."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from indexes.checks import MAX_INDEXES, MAX_LIMIT
from indexes.retrieval.expansion import Expand
from indexes.retrieval.query import Mode
from server.http.access import Caller, CallerOf
from server.http.bodies import StrictBody, StrictRoute, Texts
from server.services import Services, ServicesOf

router = APIRouter(tags=["search"], route_class=StrictRoute)

MAX_QUERY_CHARS = 4000
EXAMPLE_FILTER: dict[str, Any] = {"author": "Anna", "year": {"gte": 2020}}


class SearchBody(StrictBody):
    """What to look for, and how much to say of what is found."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "how to start", "limit": 5},
                {"query": "how to start", "where": EXAMPLE_FILTER, "expand": "section"},
            ]
        },
    )

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS)
    limit: int = Field(8, ge=1, le=MAX_LIMIT)
    mode: Mode = "hybrid"
    documents: Texts | None = Field(None, description="Search only in these documents.")
    where: dict[str, Any] | None = Field(
        None, description="Search only in documents whose fields are so."
    )
    expand: Expand = Field("none", description="Let passages grow by what stands around them.")
    highlight: bool = Field(False, description="Tell where in a passage the query's words stand.")
    explain: bool = Field(False, description="Tell how each score came about.")
    rerank: bool | None = Field(
        None, description="Let a model sort the best again; null: as the index says."
    )


class SearchManyBody(SearchBody):
    """What to look for, and where."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"indexes": ["docs", "manuals"], "query": "how to start"}]},
    )

    indexes: Texts = Field(min_length=1, max_length=MAX_INDEXES)


@router.post("/search")
async def search_indexes(body: SearchManyBody, services: ServicesOf, caller: CallerOf) -> Any:
    """Search several indexes; the passages that fit best, best first."""
    return await _search(body.indexes, body, services, caller)


@router.post("/indexes/{name}/search")
async def search_index(name: str, body: SearchBody, services: ServicesOf, caller: CallerOf) -> Any:
    """Search one index; the passages that fit best, each with its place in the source."""
    return await _search([name], body, services, caller)


async def _search(names: list[str], body: SearchBody, services: Services, caller: Caller) -> Any:
    options = body.model_dump(exclude={"query", "indexes"})
    results = await services.indexes.search(names, body.query, **options, tenant=caller.tenant)
    return {"passages": [passage.as_dict() for passage in results], **results.completeness()}
