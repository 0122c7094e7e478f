"""The tool `index`: puts a text into an index, so that searches find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tools.spec import Tool, ToolContext

MAX_TEXT = 1_000_000
"""In characters; larger texts are uploaded as files."""


class AddText(Protocol):
    """Indexes a text in place of the one of the same source.

    With `create`, the index may be new. Returns what became of it as JSON. Raises `NotFound`
    (`index_not_found`), `Invalid`.
    """

    async def __call__(
        self,
        name: str,
        text: str,
        *,
        source: str,
        title: str | None,
        metadata: Mapping[str, Any],
        create: bool,
        tenant: str,
    ) -> dict[str, Any]: ...


PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
        "source": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1000,
            "description": "What the text is cited by: a name, a path, a URL.",
        },
        "index": {"type": "string", "maxLength": 64, "default": "docs"},
        "title": {"type": "string", "maxLength": 500},
        "metadata": {
            "type": "object",
            "default": {},
            "description": "Fields to search by: names with their values.",
        },
        "create": {
            "type": "boolean",
            "default": False,
            "description": "Make the index if there is none of that name.",
        },
    },
    "required": ["text", "source"],
    "additionalProperties": False,
}


def index_tool(add: AddText) -> Tool:
    """Build the tool that adds texts to indexes of the caller's tenant."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return await add(
            arguments["index"],
            arguments["text"],
            source=arguments["source"],
            title=arguments.get("title"),
            metadata=arguments["metadata"],
            create=arguments["create"],
            tenant=context.tenant,
        )

    return Tool(
        name="index",
        description="Put a text into an index, so that searches find it. A text of the same "
        "source is replaced.",
        parameters=PARAMETERS,
        run=run,
        repeatable=True,
        timeout_s=600.0,
        reads="nothing",
        addresses=(),
    )
