"""What may be asked of the indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from config.errors import Invalid, nearest
from indexes.retrieval.expansion import Expand
from indexes.retrieval.filters import Where, compile_filter
from indexes.retrieval.search import Mode, SearchQuery

MODES = get_args(Mode)
EXPANDS = get_args(Expand)
MAX_LIMIT = 100
MAX_INDEXES = 32
MAX_QUERY_CHARS = 10_000


def checked_question(
    query: str,
    *,
    limit: int,
    mode: str,
    documents: Sequence[str] | None,
    where: Where | None,
    expand: str,
    highlight: bool,
    explain: bool,
    rerank: bool | None,
) -> SearchQuery:
    """What is asked. Raises `Invalid` naming the field."""
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
    """Raises `Invalid`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise _wrong("limit", f"must lie between 1 and {MAX_LIMIT}")


def checked_names(names: str | Sequence[str]) -> list[str]:
    """The indexes to search, each once. Raises `Invalid` naming the field."""
    found = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    if not 1 <= len(found) <= MAX_INDEXES:
        raise _wrong("indexes", f"must name 1 to {MAX_INDEXES} indexes")
    return found


def checked(source: str, title: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata. Raises `Invalid` for what could not be stored."""
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
