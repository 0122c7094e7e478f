"""Checks of what callers hand in: queries, limits, names, sources and metadata.

Every check raises `Invalid` whose `details` name the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast, get_args

from config.errors import Invalid, nearest
from indexes.retrieval.expansion import Expand
from indexes.retrieval.filters import Where, compile_filter
from indexes.retrieval.query import Mode, SearchQuery

MODES = get_args(Mode)
EXPANDS = get_args(Expand)
MAX_LIMIT = 100
MAX_INDEXES = 32
MAX_QUERY_CHARS = 10_000


class SearchOptions(TypedDict, total=False):
    """How to search, beyond the query: the options of `checked_question`, which has defaults."""

    limit: int
    mode: Mode
    """By meaning ("dense"), by words ("keyword") or both ("hybrid")."""
    documents: Sequence[str] | None
    """Search in these documents (ids) alone; chosen before the search, never after."""
    where: Where | None
    """Search in documents with such metadata alone (see `retrieval.filters`)."""
    expand: Expand
    """Let each passage grow by its neighbours or to its section."""
    highlight: bool
    """Fill `highlights`: where the query's words stand in a passage."""
    explain: bool
    """Fill `why`: how each score came about."""
    rerank: bool | None
    """Let a model sort the best again; None: if the index names a model for it."""


def checked_question(
    query: str,
    *,
    limit: int = 8,
    mode: str = "hybrid",
    documents: Sequence[str] | None = None,
    where: Where | None = None,
    expand: str = "none",
    highlight: bool = False,
    explain: bool = False,
    rerank: bool | None = None,
) -> SearchQuery:
    """Build the question that a search answers, from `SearchOptions`."""
    if not query.strip() or len(query) > MAX_QUERY_CHARS:
        raise _wrong("query", f"must hold 1 to {MAX_QUERY_CHARS} characters")
    check_limit(limit)
    if mode not in MODES:
        raise _wrong("mode", f"must be 'hybrid', 'dense' or 'keyword'. {nearest(mode, MODES)}")
    if expand not in EXPANDS:
        raise _wrong(
            "expand", f"must be 'none', 'neighbours' or 'section'. {nearest(expand, EXPANDS)}"
        )
    return SearchQuery(
        # JSON may carry half a surrogate pair, which no encoder takes.
        query.encode(errors="replace").decode(),
        limit,
        cast("Mode", mode),
        documents,
        compile_filter(where) if where is not None else None,
        cast("Expand", expand),
        highlight,
        explain,
        rerank,
    )


def check_limit(limit: int) -> None:
    """Refuse what is no limit of a search."""
    if not 1 <= limit <= MAX_LIMIT:
        raise _wrong("limit", f"must lie between 1 and {MAX_LIMIT}")


def checked_names(names: str | Sequence[str]) -> list[str]:
    """List the indexes to search, each once."""
    unique = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    if not 1 <= len(unique) <= MAX_INDEXES:
        raise _wrong("indexes", f"must name 1 to {MAX_INDEXES} indexes")
    return unique


def checked_metadata(
    source: str, title: str | None, metadata: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Copy a document's metadata, once it and the document's names can be stored as JSON."""
    if not 0 < len(source) <= 2000:
        raise _wrong("source", "must hold 1 to 2000 characters")
    for field, value in (("source", source), ("title", title or "")):
        if not value.isprintable():
            raise _wrong(field, "holds characters that cannot be shown")
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise _wrong("metadata", f"must be JSON: {error}") from error
    return dict(metadata or {})


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(f"{field} {message}.".replace("?.", "?"), details={"field": field})
