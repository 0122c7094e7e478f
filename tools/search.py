"""The tool `search`: searches indexed documents, for models that decide themselves when to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tools.spec import Tool, ToolContext

NAME = {"type": "string", "maxLength": 64}
"""Of an index."""


class SearchPassages(Protocol):
    """Finds `passages`, best first, each as JSON; `complete` and `gaps` where some may be missing.

    Raises `NotFound` (`index_not_found`), `Invalid` (`invalid_filter`).
    """

    async def __call__(
        self,
        names: list[str],
        query: str,
        *,
        limit: int,
        where: Mapping[str, Any] | None,
        tenant: str,
    ) -> dict[str, Any]: ...


PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "description": "What to look for, in plain words.",
            "minLength": 1,
            "maxLength": 2000,
        },
        "index": {
            "description": "Name of the index, or a list of names.",
            "default": "docs",
            "anyOf": [
                NAME,
                {"type": "array", "items": NAME, "minItems": 1, "maxItems": 32},
            ],
        },
        "where": {
            "type": "object",
            "description": "Leave it out: a filter by metadata, for callers who know the fields.",
        },
        "limit": {"type": "integer", "minimum": 1, "maximum": 20, "default": 5},
    },
    "required": ["query"],
    "additionalProperties": False,
}


def search_tool(search: SearchPassages) -> Tool:
    """Build the tool that looks passages up in indexes of the caller's tenant."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        names = arguments["index"]
        return await search(
            [names] if isinstance(names, str) else names,
            arguments["query"],
            limit=arguments["limit"],
            where=arguments.get("where"),
            tenant=context.tenant,
        )

    description = "Search the indexed documents and return the passages that fit best."
    return Tool("search", description, PARAMETERS, run, repeatable=True, addresses=())
