"""`retrieve`: passages that fit a query, one document, or the list of all."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from config.errors import Invalid
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec

Expand = Literal["none", "neighbours", "section"]

MAX_LIMIT = 1000
PARTS: dict[str, Type] = {
    "passages": "list",
    "count": "integer",
    "complete": "boolean",
    "gaps": "list",
    "document": "object",
    "documents": "list",
}


class RetrieveSpec(NodeSpec):
    """Looks into an index: with `query` for passages, with `document` for one whole document,
    with `list: true` for all documents without their texts."""

    type: Literal["retrieve"]
    index: str | list[str] = Field(description="The index, or several to search at once.")
    query: str | None = None
    document: str | None = Field(None, description="A document's id.")
    list_: bool = Field(False, alias="list")
    documents: str | list[str] | None = Field(
        None, description="Ids of the documents to search; a template that gives a list will do."
    )
    limit: int | str = Field(8, description="At most so many.")
    mode: Literal["hybrid", "dense", "keyword"] = "hybrid"
    where: str | dict[str, JsonValue] | None = Field(
        None, description="What the documents' metadata must be; chosen before the search."
    )
    expand: Expand = Field(
        "none", description="Give each passage with its neighbours, or with its section."
    )
    rerank: bool | None = Field(
        None, description="Sort the best again by a model; by itself as the index says."
    )
    highlight: bool = Field(False, description="Tell where the query's words stand.")


def build(spec: RetrieveSpec, scope: CompileScope) -> CompiledNode:
    if sum((spec.query is not None, spec.document is not None, spec.list_)) != 1:
        scope.problem("query", "give one of `query`, `document` and `list: true`.")
    if isinstance(spec.limit, int) and not 1 <= spec.limit <= MAX_LIMIT:
        scope.problem("limit", f"must be from 1 to {MAX_LIMIT}.")
    inputs = scope.optional(
        index=spec.index,
        query=spec.query,
        document=spec.document,
        documents=spec.documents,
        limit=spec.limit,
        where=spec.where,
    )
    options = {
        "mode": spec.mode,
        "expand": spec.expand,
        "rerank": spec.rerank,
        "highlight": spec.highlight,
    }

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        context.exposure.read_private()
        if spec.query is not None:
            return await _search(inputs, context, options)
        if spec.list_:
            return await _list(inputs, context)
        name = _single_index(inputs["index"])
        index = await context.run.indexes.get(name, context.run.tenant)
        document = await index.get_document(str(inputs["document"]))
        return {"document": document.as_dict(), "count": 1}

    return CompiledNode(inputs, run)


async def _search(
    inputs: dict[str, Any], context: NodeContext, options: dict[str, Any]
) -> dict[str, Any]:
    names = _index_names(inputs["index"])
    results = await context.run.indexes.search(
        names[0] if len(names) == 1 else names,
        str(inputs["query"]),
        limit=_limit(inputs),
        documents=inputs.get("documents"),
        where=inputs.get("where") or None,
        tenant=context.run.tenant,
        **options,
    )
    passages = [passage.as_dict() for passage in results]
    context.emit("progress", passages=len(passages), index=inputs["index"])
    for gap in results.gaps:
        context.emit("warning", code="search_incomplete", message=gap.message, reason=gap.reason)
    gaps = [gap.as_dict() for gap in results.gaps]
    return {"passages": passages, "count": len(passages), "complete": not gaps, "gaps": gaps}


async def _list(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
    index = await context.run.indexes.get(_single_index(inputs["index"]), context.run.tenant)
    listed = await index.list_documents(limit=_limit(inputs))
    documents = [_without_text(document.as_dict()) for document in listed]
    return {"documents": documents, "count": len(documents)}


def _without_text(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "text"}


def _index_names(value: Any) -> list[str]:
    """Return the names of the indexes, each once. Raises `Invalid` where there is none."""
    values = value if isinstance(value, list) else [value]
    names = list(dict.fromkeys(str(name) for name in values if name))
    if not names:
        raise Invalid("`index` names no index.", details={"field": "index"})
    return names


def _single_index(value: Any) -> str:
    names = _index_names(value)
    if len(names) > 1:
        raise Invalid(
            "Several indexes can be searched at once, but documents are read from one.",
            details={"field": "index"},
        )
    return names[0]


def _limit(inputs: dict[str, Any]) -> int:
    try:
        return int(inputs["limit"])
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"`limit` must be a whole number, not {inputs['limit']!r}.", details={"field": "limit"}
        ) from error


def _main_part(spec: RetrieveSpec) -> str:
    if spec.list_:
        return "documents"
    return "passages" if spec.query is not None else "document"


RETRIEVE = NodeType(RetrieveSpec, build, PARTS, _main_part)
