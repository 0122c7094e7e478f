"""Search over indexed documents, for models that decide themselves when to look."""

from __future__ import annotations

from typing import Any, Protocol

from tools.spec import Tool, ToolContext


class Search(Protocol):
    """Finds passages, best first, each as JSON. Raises `NotFound` for an unknown index."""

    async def __call__(
        self, index: str, query: str, *, limit: int, tenant: str
    ) -> list[dict[str, Any]]: ...


def search_tool(search: Search) -> Tool:
    """Looks passages up in an index of the caller's tenant."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        passages = await search(
            arguments["index"],
            arguments["query"],
            limit=arguments["limit"],
            tenant=context.tenant,
        )
        return {"passages": passages}

    return Tool(
        name="search",
        description="Search the indexed documents and return the passages that fit best.",
        parameters={
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": "What to look for, in plain words.",
                    "minLength": 1,
                    "maxLength": 2000,
                },
                "index": {
                    "type": "string",
                    "description": "Name of the index.",
                    "default": "docs",
                    "maxLength": 64,
                },
                "limit": {"type": "integer", "minimum": 1, "maximum": 20, "default": 5},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        run=run,
        repeatable=True,
    )
